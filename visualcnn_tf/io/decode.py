"""Encoded images, which may come from anybody: how large they claim to be, and their pixels if that is not too large.

In TensorFlow operations alone, because the same has to run in servers.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

#: No image is decoded that claims to have more pixels; a small file can claim anything.
MAX_PIXELS = 64 * 1024 * 1024

_JPEG, _PNG, _GIF, _BMP = b"\xff\xd8", b"\x89P", b"GI", b"BM"
_BIG_ENDIAN, _LITTLE_ENDIAN = [1 << 24, 1 << 16, 1 << 8, 1], [1, 1 << 8, 1 << 16, 1 << 24]
_HEADER = 32  # bytes: all that is read of the headers lies in them
# Parts of a GIF.
_EXTENSION, _IMAGE, _END = 0x21, 0x2C, b";"


def decode_checked(encoded: Any, channels: int) -> Any:
    """A JPEG, PNG, GIF (its first frame) or BMP file as uint8 ``(height, width, channels)``.

    Pixels come as they are stored: 16 bits are reduced to 8, transparency is dropped, a CMYK JPEG becomes RGB, and
    the orientation that a camera notes beside them (EXIF) is ignored.

    Args:
        encoded: a string tensor.
        channels: 1 or 3.

    Raises:
        tf.errors.InvalidArgumentError: for everything else, truncated files, and more than ``MAX_PIXELS`` pixels.
    """
    # A GIF is read to its end before its first frame is given, and each frame may unpack to a thousand times its size.
    one, frame = tf.cond(
        _starts(encoded, _GIF), lambda: _first_frame(encoded), lambda: (tf.identity(encoded), tf.zeros((), tf.int64))
    )
    pixels = tf.maximum(claimed_pixels(encoded), frame)
    checks = [
        tf.debugging.Assert(pixels > 0, ["no JPEG, PNG, GIF or BMP file"]),
        tf.debugging.Assert(pixels <= MAX_PIXELS, ["too many pixels", pixels]),
    ]
    with tf.control_dependencies(checks):
        image = _decoded(tf.identity(one), channels)
    image.set_shape([None, None, channels])
    return image


def _decoded(encoded: Any, channels: int) -> Any:
    """An image file as ``(H, W, channels)`` uint8, gray for one channel, else red, green and blue."""

    def by_decoder() -> Any:
        return tf.io.decode_image(encoded, channels=channels, expand_animations=False)

    def by_hand() -> Any:
        # One, three or four channels, the last of which is opacity. Their decoders give only what is in the file.
        image = tf.io.decode_image(encoded, expand_animations=False)
        image.set_shape([None, None, None])
        color = tf.concat([image] * 3, -1)[..., :3]
        if channels == 3:
            return color
        return tf.cast(tf.round(tf.image.rgb_to_grayscale(tf.cast(color, tf.float32))), tf.uint8)

    start = tf.strings.substr(encoded, 0, 2)
    return tf.cond(tf.reduce_any(tf.equal(start, [b"GI", b"BM"])), by_hand, by_decoder)


def claimed_pixels(encoded: Any) -> Any:
    """Width times height, int64, as the header of an encoded image says, without decoding it; 0 for no image."""
    # Headers may be cut off, and an error about them would hold bytes that are no text.
    header = tf.strings.join([tf.strings.substr(encoded, 0, _HEADER), bytes(_HEADER)])

    def jpeg() -> Any:
        height, width, _ = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(encoded), tf.int64), 3)
        return height * width

    def png() -> Any:
        return _number(header, 16, _BIG_ENDIAN) * _number(header, 20, _BIG_ENDIAN)

    def gif() -> Any:
        return _number(header, 6, _LITTLE_ENDIAN[:2]) * _number(header, 8, _LITTLE_ENDIAN[:2])

    def bmp() -> Any:
        # A height below zero means: the first row first.
        return abs(_signed(header, 18) * _signed(header, 22))

    formats = [(_JPEG, jpeg), (_PNG, png), (_GIF, gif), (_BMP, bmp)]
    cases = [(_starts(encoded, start), claim) for start, claim in formats]
    claimed = tf.case(cases, default=lambda: tf.zeros((), tf.int64), exclusive=True)
    return tf.where(claimed < 0, tf.int64.max, claimed)  # too large for the product


def _starts(encoded: Any, start: bytes) -> Any:
    return tf.equal(tf.strings.substr(encoded, 0, len(start)), start)


def _number(header: Any, offset: int, weights: list[int]) -> Any:
    digits = tf.io.decode_raw(tf.strings.substr(header, offset, len(weights)), tf.uint8)
    return tf.reduce_sum(tf.cast(digits, tf.int64) * tf.constant(weights, tf.int64))


def _signed(header: Any, offset: int) -> Any:
    value = _number(header, offset, _LITTLE_ENDIAN)
    return tf.where(value >= 1 << 31, value - (1 << 32), value)


def _first_frame(encoded: Any) -> tuple[Any, Any]:
    """A GIF that ends after its first frame, and how many pixels, int64, this frame claims to have; 0 for none."""
    data = tf.concat([tf.io.decode_raw(encoded, tf.uint8), tf.zeros(_HEADER, tf.uint8)], 0)
    length = tf.size(data)

    def byte(place: Any) -> Any:
        return tf.cast(data[tf.minimum(place, length - 1)], tf.int32)

    def after_table(place: Any, flags: Any) -> Any:
        """What follows a table of colors, if there is one."""
        return place + tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)

    def after_parts(place: Any) -> Any:
        """A part is its length and so many bytes; one of length 0 is the last."""
        (last,) = tf.while_loop(
            lambda place: tf.logical_and(byte(place) > 0, place < length),
            lambda place: [place + 1 + byte(place)],
            [place],
            parallel_iterations=1,
        )
        return last + 1

    def step(place: Any, pixels: Any) -> tuple[Any, Any]:
        is_image = tf.equal(byte(place), _IMAGE)
        width, height = byte(place + 5) + 256 * byte(place + 6), byte(place + 7) + 256 * byte(place + 8)
        claimed = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
        parts = tf.where(is_image, after_table(place + 10, byte(place + 9)) + 1, place + 2)
        return after_parts(parts), tf.where(is_image, claimed, pixels)

    def goes_on(place: Any, pixels: Any) -> Any:
        is_block = tf.logical_or(tf.equal(byte(place), _IMAGE), tf.equal(byte(place), _EXTENSION))
        return tf.logical_and(is_block, tf.equal(pixels, 0))

    start = (after_table(tf.constant(13), byte(tf.constant(10))), tf.zeros((), tf.int64))
    end, pixels = tf.while_loop(goes_on, step, start, parallel_iterations=1)
    return tf.strings.join([tf.strings.substr(encoded, 0, end), _END]), pixels
