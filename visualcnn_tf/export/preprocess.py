"""From encoded images to a model's input, inside the graph: decode, resize, preprocess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf.introspect.inputs import ModelInput
from visualcnn_tf.io.decode import decode_checked

Preprocess: TypeAlias = str | Callable[[Any], Any] | None

ON_ERROR = ("raise", "blank")

_CAFFE_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Scaling:
    """How pixels from 0 to 255 are scaled for a model.

    Attributes:
        forward: from pixels to what the model takes.
        back: the inverse.
        limits: black and white of what the model takes, where they are the same for all colors.
    """

    forward: Callable[[Any], Any]
    back: Callable[[Any], Any]
    limits: tuple[int, int] | None


#: By name, as the modules of keras.applications do it; None leaves pixels as they are.
PREPROCESS: dict[str | None, Scaling] = {
    None: Scaling(lambda images: images, lambda images: images, (0, 255)),
    "0..1": Scaling(lambda images: images / 255.0, lambda images: images * 255.0, (0, 1)),
    "-1..1": Scaling(lambda images: images / 127.5 - 1.0, lambda images: (images + 1.0) * 127.5, (-1, 1)),
    "caffe": Scaling(
        lambda images: images[..., ::-1] - tf.constant(_CAFFE_MEANS),
        lambda images: (images + np.array(_CAFFE_MEANS))[..., ::-1],
        None,
    ),
}


def as_pixels(images: np.ndarray, preprocess: Preprocess) -> np.ndarray | None:
    """The uint8 pixels that a preprocessing makes such images of, about; None for a callable, which nothing undoes."""
    if callable(preprocess):
        return None
    pixels: np.ndarray = np.clip(np.round(PREPROCESS[preprocess].back(images)), 0, 255).astype(np.uint8)
    return pixels


def check_preprocess(preprocess: Preprocess, spec: ModelInput) -> Callable[[Any], Any]:
    """The function behind ``preprocess``, tried out on the model's input.

    Raises:
        InvalidArgumentError: for an unknown name, a function that is not made of TensorFlow operations, or one that
            returns another shape.
    """
    if callable(preprocess):
        function = preprocess
    else:
        check_choice("preprocess", preprocess, tuple(PREPROCESS), also="a callable of TensorFlow operations")
        function = PREPROCESS[preprocess].forward
    images = tf.TensorSpec(spec.shape, tf.float32)
    try:
        result = tf.function(function, autograph=False).get_concrete_function(images).structured_outputs
    except Exception as error:
        raise bad_value(
            "preprocess",
            "made of TensorFlow operations, because it runs in the server without Python",
            preprocess,
            f"It failed on a symbolic tensor with {type(error).__name__}: {error}",
        ) from error
    if not tf.is_tensor(result) or not result.shape.is_compatible_with(spec.shape):
        raise bad_value("preprocess", f"one that returns images of shape {spec.shape}", preprocess)
    return function


@dataclass(frozen=True)
class ImageDecoder:
    """Decodes a batch of JPEG, PNG, GIF (its first frame) or BMP strings for one input of a model.

    Images of different sizes may come together: each is resized, bilinear and anti-aliased, to the input's size.

    Attributes:
        spec: the model's input, ``(B, H, W, 1)`` or ``(B, H, W, 3)`` with known sizes.
        preprocess: from float32 pixels from 0 to 255 to what the model takes.
    """

    spec: ModelInput
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
        image = decode_checked(encoded, channels or 3)
        return tf.image.resize(tf.cast(image, tf.float32), (height, width), antialias=True), True
