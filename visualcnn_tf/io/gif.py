"""Cut a GIF off after its first frame, in TensorFlow operations.

A GIF is a header of 13 bytes, a color table if the header says so, and blocks. A block is an extension or an image (a
frame), each followed by sub-blocks: a byte with a length, then as many bytes, until a length is 0. See
https://www.w3.org/Graphics/GIF/spec-gif89a.txt.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

_HEADER = 13  # bytes; the last but two holds the flags of the color table
_FLAGS = 10
_EXTENSION, _IMAGE, _END = 0x21, 0x2C, b";"
_PADDING = 32  # bytes after the end of a file, so that the header of a block is never cut off


def first_frame(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a GIF that ends after its first frame.

    Args:
        encoded: The content of the file, a scalar string tensor.

    Returns:
        The content of the shortened file, and the number of pixels, int64, that the first frame claims to have; 0 if
        there is none.
    """
    data = tf.concat([tf.io.decode_raw(encoded, tf.uint8), tf.zeros(_PADDING, tf.uint8)], 0)
    reader = _Reader(data, tf.size(data))

    def has_next(position: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
        block = reader.byte(position)
        is_block = tf.logical_or(tf.equal(block, _IMAGE), tf.equal(block, _EXTENSION))
        return tf.logical_and(is_block, tf.equal(pixels, 0))

    start = reader.after_color_table(tf.constant(_HEADER), reader.byte(tf.constant(_FLAGS)))
    end, pixels = tf.while_loop(has_next, reader.read_block, (start, tf.zeros((), tf.int64)), parallel_iterations=1)
    return tf.strings.join([tf.strings.substr(encoded, 0, end), _END]), pixels


@dataclass(frozen=True)
class _Reader:
    """Reads a GIF by positions, int32 scalars."""

    data: tf.Tensor  # uint8 (N,)
    length: tf.Tensor  # N

    def byte(self, position: tf.Tensor) -> tf.Tensor:
        """Return a byte as int32; beyond the end the last one, which is 0."""
        return tf.cast(self.data[tf.minimum(position, self.length - 1)], tf.int32)

    def after_color_table(self, position: tf.Tensor, flags: tf.Tensor) -> tf.Tensor:
        """Return the position after a color table, if ``flags`` say that there is one."""
        return position + tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)

    def after_sub_blocks(self, position: tf.Tensor) -> tf.Tensor:
        """Return the position after a sequence of sub-blocks."""
        (last,) = tf.while_loop(
            lambda position: tf.logical_and(self.byte(position) > 0, position < self.length),
            lambda position: [position + 1 + self.byte(position)],
            [position],
            parallel_iterations=1,
        )
        return last + 1

    def read_block(self, position: tf.Tensor, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the position after a block, and the pixels it claims if it is a frame, else ``pixels``."""
        is_frame = tf.equal(self.byte(position), _IMAGE)
        width = self.byte(position + 5) + 256 * self.byte(position + 6)
        height = self.byte(position + 7) + 256 * self.byte(position + 8)
        claimed = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
        after_table = self.after_color_table(position + 10, self.byte(position + 9))
        sub_blocks = tf.where(is_frame, after_table + 1, position + 2)
        return self.after_sub_blocks(sub_blocks), tf.where(is_frame, claimed, pixels)
