"""Turn photos upright, as their camera says, in TensorFlow operations.

A camera stores the pixels as its sensor lies, and writes into the file how a viewer shall turn them: the orientation, a
number from 1 to 8 in the Exif data of a JPEG. A JPEG is a sequence of segments: 0xFF, a byte for its kind, two for its
length. The Exif segment holds a directory in the format of TIFF: entries of 12 bytes, the first two of which say what
they are. See https://www.cipa.jp/std/documents/e/DC-008-2012_E.pdf.
"""

from __future__ import annotations

import tensorflow as tf

_HEAD = 1 << 17  # bytes: Exif data stands at the beginning, and a segment has at most 2¹⁶
_PADDING = 32  # bytes after the end of a file, so that what is read is never cut off
_SEGMENTS = 32  # how many are looked at, of which the Exif data is the first or the second by the standard
# Application data (0xE0 to 0xEF) and comments, among which Exif data stands.
_SKIPPED = [0xFF00 + kind for kind in (*range(0xE0, 0xF0), 0xFE)]
_EXIF, _IS_LENGTH = b"\xff\xe1??Exif\0\0", [n in (2, 3) for n in range(10)]
_ORIENTATION = 0x0112
_ENTRY = 12  # bytes


def orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Return the orientation that a JPEG file has in its Exif data.

    Args:
        encoded: The content of the file, a scalar string tensor.

    Returns:
        int32, from 1 (upright) to 8; 1 where the file does not say it.
    """
    head = tf.strings.substr(encoded, 0, _HEAD)
    data = tf.concat([tf.io.decode_raw(head, tf.uint8), tf.zeros(_PADDING, tf.uint8)], 0)
    segment = _exif_segment(data)
    is_exif = _is_exif(_bytes(data, segment, len(_EXIF)))
    found = tf.cond(is_exif, lambda: _in_directory(data, segment + len(_EXIF)), lambda: tf.constant(0))
    return tf.where((found >= 1) & (found <= 8), found, 1)


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Return an image ``(H, W, C)`` turned as its orientation says."""

    def turned() -> tf.Tensor:
        standing = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: tf.identity(image))
        down = tf.reduce_any(tf.equal(orientation, [3, 4, 7, 8]))
        across = tf.reduce_any(tf.equal(orientation, [2, 3, 6, 7]))
        return tf.raw_ops.Reverse(tensor=standing, dims=tf.stack([down, across, False]))

    return tf.cond(orientation > 1, turned, lambda: tf.identity(image))


def _exif_segment(data: tf.Tensor) -> tf.Tensor:
    """Return the position of the Exif segment; of another one if there is none."""

    def goes_on(position: tf.Tensor) -> tf.Tensor:
        start = _bytes(data, position, len(_EXIF))
        is_skipped = tf.reduce_any(tf.equal(_number(start[:2], [256, 1]), _SKIPPED))
        return is_skipped & ~_is_exif(start)

    def next_segment(position: tf.Tensor) -> list[tf.Tensor]:
        return [position + 2 + _number(_bytes(data, position + 2, 2), [256, 1])]

    (position,) = tf.while_loop(
        goes_on, next_segment, [tf.constant(2)], parallel_iterations=1, maximum_iterations=_SEGMENTS
    )
    return position


def _is_exif(start: tf.Tensor) -> tf.Tensor:
    """Return whether a segment that starts with these bytes is the Exif data."""
    return tf.reduce_all(tf.equal(start, list(_EXIF)) | _IS_LENGTH)


def _in_directory(data: tf.Tensor, tiff: tf.Tensor) -> tf.Tensor:
    """Return the orientation in the first directory, less than 1 if there is none.

    Args:
        data: The bytes of the file.
        tiff: The position from which those in the directory count.
    """
    header = _bytes(data, tiff, 8)
    powers = tf.constant([1, 1 << 8, 1 << 16, 1 << 24])
    little_endian = tf.equal(header[0], ord("I"))
    directory = tiff + _number(header[4:], tf.where(little_endian, powers, powers[::-1]))
    weights = tf.where(little_endian, [1, 256], [256, 1])
    count = _number(_bytes(data, directory, 2), weights)
    first = tf.clip_by_value(directory + 2, 0, tf.size(data))
    count = tf.minimum(count, (tf.size(data) - first) // _ENTRY)
    entries = tf.reshape(tf.cast(data[first : first + _ENTRY * count], tf.int32), [-1, _ENTRY])
    is_orientation = tf.equal(_number(entries[:, :2], weights), _ORIENTATION)
    return tf.reduce_max(tf.where(is_orientation, _number(entries[:, 8:10], weights), 0))


def _bytes(data: tf.Tensor, position: tf.Tensor, count: int) -> tf.Tensor:
    """Return bytes as int32; at the end of the data, the last ones, which are 0."""
    start = tf.clip_by_value(position, 0, tf.size(data) - count)
    return tf.cast(tf.slice(data, [start], [count]), tf.int32)


def _number(read: tf.Tensor, weights: tf.Tensor | list[int]) -> tf.Tensor:
    """Return the number in some bytes, along the last axis; one over 2³¹ may come out as any."""
    return tf.reduce_sum(read * weights, -1)
