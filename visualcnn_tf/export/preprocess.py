"""Preprocessing that goes into an exported file: from pixels of 0 to 255 to what the model was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf.introspect.inputs import ModelInput

#: A name of ``PREPROCESS``, or a function of TensorFlow operations on float32 images ``(B, H, W, C)``.
Preprocess: TypeAlias = str | Callable[[tf.Tensor], tf.Tensor] | None

_CAFFE_MEANS = (103.939, 116.779, 123.68)  # of blue, green and red over ImageNet


@dataclass(frozen=True)
class Scaling:
    """How pixels of 0 to 255 are scaled for a model.

    Attributes:
        forward: From pixels to the model's input.
        back: The inverse.
        limits: Black and white in the model's input; None if they differ between colors.
    """

    forward: Callable[[tf.Tensor], tf.Tensor]
    back: Callable[[np.ndarray], np.ndarray]
    limits: tuple[int, int] | None


#: Scalings by name, equal to those of the modules in keras.applications; None leaves pixels as they are.
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
    """Return the uint8 pixels that, once preprocessed, are about these images.

    Args:
        images: Preprocessed images, ``(B, H, W, C)``.
        preprocess: How they were preprocessed.

    Returns:
        The pixels, ``(B, H, W, C)``, or None if ``preprocess`` is a callable, which has no known inverse.
    """
    if callable(preprocess):
        return None
    pixels: np.ndarray = np.clip(np.round(PREPROCESS[preprocess].back(images)), 0, 255).astype(np.uint8)
    return pixels


def preprocess_function(preprocess: Preprocess, spec: ModelInput) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the function that ``preprocess`` stands for, after trying it on the model's input.

    Args:
        preprocess: The user's choice.
        spec: The image input of the model.

    Raises:
        InvalidArgumentError: If it is an unknown name, or a function that is not made of TensorFlow operations or
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
