"""Turn photos upright, as their camera says, in TensorFlow operations.

A camera stores the pixels as its sensor lies, and writes into the file how a viewer shall turn them: the orientation, a
number from 1 to 8 in the Exif data of a JPEG. A JPEG is a sequence of segments: 0xFF, a byte for its kind, two for its
length. The Exif segment holds a directory in the format of TIFF: entries of 12 bytes, the first two of which say what
they are. See https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

_HEAD = 1 << 17  # bytes: Exif data stands at the beginning, and a segment has at most 2¹⁶
_SEGMENTS = 32  # how many are looked at, of which the Exif data is the first or the second by the standard
_MARKER, _EXIF_MARKER, _EXIF = 0xFF, b"\xff\xe1", b"Exif\0\0"
_LITTLE_ENDIAN = b"II"
_ORIENTATION = 0x0112
_ENTRY = 12  # bytes
_PADDING = 32  # bytes after the end of a file, so that what is read is never cut off


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Return the orientation that a JPEG file has in its Exif data.

    Args:
        encoded: The content of the file, a scalar string tensor.

    Returns:
        int32, from 1 (upright) to 8; 1 where the file does not say it.
    """
    head = tf.strings.substr(encoded, 0, _HEAD)
    data = tf.concat([tf.io.decode_raw(head, tf.uint8), tf.zeros(_PADDING, tf.uint8)], 0)
    found = _Exif(tf.cast(data, tf.int32), tf.size(data)).orientation()
    return tf.where((found >= 1) & (found <= 8), found, 1)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Return an image ``(H, W, C)`` turned as its orientation says."""

    def turned() -> tf.Tensor:
        standing = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: tf.identity(image))
        down = tf.reduce_any(tf.equal(orientation, [3, 4, 7, 8]))
        across = tf.reduce_any(tf.equal(orientation, [2, 3, 6, 7]))
        return tf.raw_ops.Reverse(tensor=standing, dims=tf.stack([down, across, False]))

    return tf.cond(orientation > 1, turned, lambda: tf.identity(image))


@dataclass(frozen=True)
class _Exif:
    """Reads the Exif data of a JPEG by positions, int32 scalars or vectors."""

    data: tf.Tensor  # int32 (N,), the bytes
    length: tf.Tensor  # N

    def orientation(self) -> tf.Tensor:
        """Return the orientation, 0 if there is none."""
        segment = self._exif_segment()
        directory = segment + 10  # the positions in it count from here
        little = self._holds(directory, _LITTLE_ENDIAN)
        entries = directory + self._number(directory + 4, 4, little)
        count = tf.clip_by_value(self._number(entries, 2, little), 0, self.length // _ENTRY)
        positions = entries + 2 + _ENTRY * tf.range(count)
        is_orientation = tf.equal(self._number(positions, 2, little), _ORIENTATION)
        values = tf.where(is_orientation, self._number(positions + 8, 2, little), 0)
        return tf.where(self._is_exif(segment), tf.reduce_max(tf.concat([values, [0]], 0)), 0)

    def _exif_segment(self) -> tf.Tensor:
        """Return the position of the Exif segment; of anything else if there is none."""

        def goes_on(position: tf.Tensor) -> tf.Tensor:
            return tf.equal(self._byte(position), _MARKER) & ~self._is_exif(position)

        def next_segment(position: tf.Tensor) -> list[tf.Tensor]:
            return [position + 2 + self._number(position + 2, 2, tf.constant(False))]

        (position,) = tf.while_loop(
            goes_on, next_segment, [tf.constant(2)], parallel_iterations=1, maximum_iterations=_SEGMENTS
        )
        return position

    def _is_exif(self, position: tf.Tensor) -> tf.Tensor:
        return self._holds(position, _EXIF_MARKER) & self._holds(position + 4, _EXIF)

    def _holds(self, position: tf.Tensor, text: bytes) -> tf.Tensor:
        """Return whether the bytes from a position on are these."""
        return tf.reduce_all(tf.equal(self._byte(position + tf.range(len(text))), list(text)))

    def _number(self, position: tf.Tensor, width: int, little: tf.Tensor) -> tf.Tensor:
        """Return the number in ``width`` bytes from a position on; a huge one may come out as any."""
        weights = [1 << 8 * i for i in range(width)]
        read = [self._byte(position + i) for i in range(width)]
        little_endian = tf.add_n([weight * byte for weight, byte in zip(weights, read, strict=True)])
        big_endian = tf.add_n([weight * byte for weight, byte in zip(reversed(weights), read, strict=True)])
        return tf.where(little, little_endian, big_endian)

    def _byte(self, position: tf.Tensor) -> tf.Tensor:
        """Return a byte; before the beginning the first one, and beyond the end the last one, which is 0."""
        return tf.gather(self.data, tf.clip_by_value(position, 0, self.length - 1))
