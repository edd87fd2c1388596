"""From encoded images to a model's input, inside the graph: decode, resize, preprocess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf

from visualcnn_tf._checks import bad_value, check_choice
from visualcnn_tf.inputs import InputSpec

Preprocess: TypeAlias = str | Callable[[Any], Any] | None

ON_ERROR = ("raise", "blank")
#: No image is decoded that claims to have more pixels; a small file can claim anything.
MAX_PIXELS = 64 * 1024 * 1024

_CAFFE_MEANS = (103.939, 116.779, 123.68)

#: How pixels from 0 to 255 are scaled for a model, by name, as the modules of keras.applications do it.
PREPROCESS: dict[str, Callable[[Any], Any]] = {
    "0..1": lambda images: images / 255.0,
    "-1..1": lambda images: images / 127.5 - 1.0,
    "caffe": lambda images: images[..., ::-1] - tf.constant(_CAFFE_MEANS),
}


def check_preprocess(preprocess: Preprocess, spec: InputSpec) -> Callable[[Any], Any]:
    """The function behind ``preprocess``, tried out on the model's input.

    Raises:
        InvalidArgumentError: for an unknown name, a function that is not made of TensorFlow operations, or one that
            returns another shape.
    """
    if not callable(preprocess):
        check_choice("preprocess", preprocess, (None, *PREPROCESS), also="a callable of TensorFlow operations")
        return PREPROCESS[preprocess] if preprocess else lambda images: images
    images = tf.TensorSpec(spec.shape, tf.float32)
    try:
        result = tf.function(preprocess, autograph=False).get_concrete_function(images).structured_outputs
    except Exception as error:
        raise bad_value(
            "preprocess",
            "made of TensorFlow operations, because it runs in the server without Python",
            preprocess,
            f"It failed on a symbolic tensor with {type(error).__name__}: {error}",
        ) from error
    if not tf.is_tensor(result) or not result.shape.is_compatible_with(spec.shape):
        raise bad_value("preprocess", f"a function that returns images of shape {spec.shape}", preprocess)
    return preprocess


@dataclass(frozen=True)
class ImageDecoder:
    """Decodes a batch of JPEG, PNG, GIF (its first frame) or BMP strings for one input of a model.

    Images of different sizes may come together: each is resized, bilinear and anti-aliased, to the input's size.

    Attributes:
        spec: the model's input, ``(B, H, W, 1)`` or ``(B, H, W, 3)`` with known sizes.
        preprocess: from float32 pixels from 0 to 255 to what the model takes.
    """

    spec: InputSpec
    preprocess: Callable[[Any], Any]

    def __call__(self, image_bytes: Any) -> tuple[Any, Any]:
        """``(B,)`` strings to ``(B, H, W, C)`` images and ``(B,)`` whether each could be read; blank where not."""
        shape = self.spec.shape[1:]
        images, valid = tf.map_fn(
            self._one,
            image_bytes,
            fn_output_signature=(tf.TensorSpec(shape, tf.float32), tf.TensorSpec((), tf.bool)),
        )
        return tf.cast(self.preprocess(images), self.spec.dtype), valid

    def _one(self, encoded: Any) -> tuple[Any, Any]:
        blank = tf.data.Dataset.from_tensors((tf.zeros(self.spec.shape[1:]), False))
        # There is no try in a graph; a data pipeline of one element that drops errors, with a blank to fall back
        # on, is one that every loader runs.
        image = tf.data.Dataset.from_tensors(encoded).map(self._decoded).ignore_errors()
        pixels, valid = image.concatenate(blank).take(1).get_single_element()
        return pixels, valid

    def _decoded(self, encoded: Any) -> tuple[Any, Any]:
        height, width, channels = self.spec.shape[1:]
        pixels = claimed_pixels(encoded)
        with tf.control_dependencies([tf.debugging.Assert(pixels <= MAX_PIXELS, ["too many pixels", pixels])]):
            image = decoded(tf.identity(encoded), channels)
        image.set_shape([None, None, channels])
        return tf.image.resize(tf.cast(image, tf.float32), (height, width), antialias=True), True


def decoded(encoded: Any, channels: int | None) -> Any:
    """An image file as ``(H, W, channels)`` uint8, grey for one channel, else red, green and blue."""

    def by_decoder() -> Any:
        return tf.io.decode_image(encoded, channels=channels, expand_animations=False)

    def by_hand() -> Any:
        # One, three or four channels, the last of which is opacity. Their decoders give only what is in the file.
        image = tf.io.decode_image(encoded, expand_animations=False)
        image.set_shape([None, None, None])
        colour = tf.concat([image] * 3, -1)[..., :3]
        if channels == 3:
            return colour
        return tf.cast(tf.round(tf.image.rgb_to_grayscale(tf.cast(colour, tf.float32))), tf.uint8)

    start = tf.strings.substr(encoded, 0, 2)
    return tf.cond(tf.reduce_any(tf.equal(start, [b"GI", b"BM"])), by_hand, by_decoder)


def claimed_pixels(encoded: Any) -> Any:
    """Width times height, int64, as the header of an encoded image says, without decoding it; 0 if none is known."""
    start = tf.strings.substr(encoded, 0, 2)

    def big_endian(offset: int) -> Any:
        return _number(encoded, offset, [1 << 24, 1 << 16, 1 << 8, 1])

    def little_endian(offset: int, count: int) -> Any:
        return _number(encoded, offset, [1 << (8 * i) for i in range(count)])

    def bmp_height() -> Any:
        # Negative, as a two's complement, where the first row comes first.
        height = little_endian(22, 4)
        return tf.minimum(height, (1 << 32) - height)

    def jpeg() -> Any:
        height, width, _ = tf.unstack(tf.cast(tf.image.extract_jpeg_shape(encoded), tf.int64), 3)
        return height * width

    return tf.case(
        [
            (tf.equal(start, b"\xff\xd8"), jpeg),
            (tf.equal(start, b"\x89P"), lambda: big_endian(16) * big_endian(20)),
            (tf.equal(start, b"GI"), lambda: little_endian(6, 2) * little_endian(8, 2)),
            (tf.equal(start, b"BM"), lambda: little_endian(18, 4) * bmp_height()),
        ],
        default=lambda: tf.zeros((), tf.int64),
        exclusive=True,
    )


def _number(encoded: Any, offset: int, weights: list[int]) -> Any:
    digits = tf.io.decode_raw(tf.strings.substr(encoded, offset, len(weights)), tf.uint8)
    return tf.reduce_sum(tf.cast(digits, tf.int64) * tf.constant(weights, tf.int64))
