"""Decode encoded images that may come from anybody: first how large they claim to be, then their pixels.

Only images of up to ``MAX_PIXELS`` pixels are decoded, because a file of a few bytes may claim any size and fill the
memory. Made of TensorFlow operations alone, so that the same code runs inside exported models on servers.
"""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.io.gif import first_frame
from visualcnn_tf.io.orientation import orientation, upright

#: The largest number of pixels that an image may claim to have.
MAX_PIXELS = 64 * 1024 * 1024

# What the files of each format start with.
_JPEG, _PNG, _GIF, _BMP = b"\xff\xd8", b"\x89P", b"GI", b"BM"
# What the bytes of a number are multiplied with.
_BIG_ENDIAN, _LITTLE_ENDIAN = [1 << 24, 1 << 16, 1 << 8, 1], [1, 1 << 8, 1 << 16, 1 << 24]
_HEADER = 32  # bytes; sizes are written within these


def decode_checked(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode a JPEG, PNG, GIF (first frame) or BMP file.

    Photos stand upright, as viewers show them: a JPEG is turned as its Exif data say. 16 bits are reduced to 8,
    transparency is dropped, and a CMYK JPEG becomes RGB.

    Args:
        encoded: The content of the file, a scalar string tensor.
        channels: 1 for gray, 3 for RGB.

    Returns:
        The pixels, uint8 ``(H, W, channels)``.

    Raises:
        tf.errors.InvalidArgumentError: For other formats, truncated files, and more than ``MAX_PIXELS`` pixels.
    """
    # TensorFlow decodes all frames of a GIF before it returns the first, and each may unpack to a thousand times its
    # size. So all others are cut off.
    one, frame_pixels = tf.cond(
        _starts(encoded, _GIF), lambda: first_frame(encoded), lambda: (tf.identity(encoded), tf.zeros((), tf.int64))
    )
    pixels = tf.maximum(claimed_pixels(encoded), frame_pixels)
    checks = [
        tf.debugging.Assert(pixels > 0, ["no JPEG, PNG, GIF or BMP file"]),
        tf.debugging.Assert(pixels <= MAX_PIXELS, ["too many pixels", pixels]),
    ]
    turn = tf.cond(_starts(encoded, _JPEG), lambda: orientation(encoded), lambda: tf.constant(1))
    with tf.control_dependencies(checks):
        image = _decoded(tf.identity(one), channels)
    image.set_shape([None, None, channels])
    turned = upright(image, turn)
    turned.set_shape([None, None, channels])
    return turned


def _decoded(encoded: tf.Tensor, channels: int) -> tf.Tensor:
    """Decode an image file to uint8 ``(H, W, channels)``."""

    def by_tensorflow() -> tf.Tensor:
        return tf.io.decode_image(encoded, channels=channels, expand_animations=False)

    def by_hand() -> tf.Tensor:
        # TensorFlow's decoders for GIF and BMP return the channels of the file, and convert nothing: one, three or
        # four, the last of which is opacity.
        image = tf.io.decode_image(encoded, expand_animations=False)
        image.set_shape([None, None, None])
        color = tf.concat([image] * 3, -1)[..., :3]
        if channels == 3:
            return color
        return tf.cast(tf.round(tf.image.rgb_to_grayscale(tf.cast(color, tf.float32))), tf.uint8)

    start = tf.strings.substr(encoded, 0, 2)
    return tf.cond(tf.reduce_any(tf.equal(start, [_GIF, _BMP])), by_hand, by_tensorflow)


def claimed_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """Return width times height as the header of an encoded image says, without decoding it.

    Args:
        encoded: The content of the file, a scalar string tensor.

    Returns:
        The number of pixels, int64: 0 for files of other formats, the largest int64 if it is larger than that.
    """
    # Padded, because headers may be cut off: an error of TensorFlow about that would quote bytes that are not text.
    header = tf.strings.join([tf.strings.substr(encoded, 0, _HEADER), bytes(_HEADER)])

    def jpeg() -> tf.Tensor:
        height, width, _ = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(encoded), tf.int64), 3)
        return height * width

    def png() -> tf.Tensor:
        return _number(header, 16, _BIG_ENDIAN) * _number(header, 20, _BIG_ENDIAN)

    def gif() -> tf.Tensor:
        return _number(header, 6, _LITTLE_ENDIAN[:2]) * _number(header, 8, _LITTLE_ENDIAN[:2])

    def bmp() -> tf.Tensor:
        # A negative height means that the top row is stored first.
        return abs(_signed(header, 18) * _signed(header, 22))

    formats = [(_JPEG, jpeg), (_PNG, png), (_GIF, gif), (_BMP, bmp)]
    cases = [(_starts(encoded, start), claim) for start, claim in formats]
    claimed = tf.case(cases, default=lambda: tf.zeros((), tf.int64), exclusive=True)
    return tf.where(claimed < 0, tf.int64.max, claimed)  # the product overflowed


def _starts(encoded: tf.Tensor, start: bytes) -> tf.Tensor:
    return tf.equal(tf.strings.substr(encoded, 0, len(start)), start)


def _number(header: tf.Tensor, offset: int, weights: list[int]) -> tf.Tensor:
    digits = tf.io.decode_raw(tf.strings.substr(header, offset, len(weights)), tf.uint8)
    return tf.reduce_sum(tf.cast(digits, tf.int64) * tf.constant(weights, tf.int64))


def _signed(header: tf.Tensor, offset: int) -> tf.Tensor:
    value = _number(header, offset, _LITTLE_ENDIAN)
    return tf.where(value >= 1 << 31, value - (1 << 32), value)
