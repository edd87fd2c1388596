"""What the preprocessor of a ``keras_hub`` task makes of photos, which is what the task takes in a call."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.introspect.tasks import preprocesses
from visualcnn_tf.pixels.pixels import Values
from visualcnn_tf.pixels.scaling import SCALINGS, Scaling

_GRAYS = (0.0, 127.5, 255.0)
_SIZE = 32  # pixels, of the photos to try: the preprocessor resizes them


def values_of_task(model: keras.Model, channels: int) -> Values | None:
    """Return the values that a task takes in a call, or None for any other model.

    The preprocessor is tried on gray photos. None, too, for one that leaves them as they are, or does more than to
    scale each channel.
    """
    if not preprocesses(model):
        return None
    try:
        black, middle, white = (_gray(model, brightness, channels) for brightness in _GRAYS)
    except Exception:  # of another package, and for tasks that take more than an image
        return None
    is_straight = np.allclose(middle, (black + white) / 2, rtol=1e-3, atol=1e-3) and np.all(black < white)
    is_same = np.allclose([black, white], [[0.0], [255.0]])
    return None if is_same or not is_straight else _named(black, white)


def fit_of_task(model: keras.Model) -> str:
    """Return how the preprocessor of a task fits photos; ``"squeeze"`` for any other model."""
    converter = getattr(getattr(model, "preprocessor", None), "image_converter", None)
    if getattr(converter, "crop_to_aspect_ratio", False):
        return "crop"
    return "pad" if getattr(converter, "pad_to_aspect_ratio", False) else "squeeze"


def _gray(model: keras.Model, brightness: float, channels: int) -> NDArray[np.float64]:
    """Return what becomes of a gray photo: the pixel in the middle."""
    photo = tf.fill([1, _SIZE, _SIZE, channels], brightness)
    image, _, _ = keras.utils.unpack_x_y_sample_weight(model.preprocess_samples(photo))
    pixels = np.asarray(image, np.float64)[0]
    return np.asarray(pixels[pixels.shape[0] // 2, pixels.shape[1] // 2])


def _named(black: NDArray[np.float64], white: NDArray[np.float64]) -> Values:
    """Return the scaling from 0 to ``black`` and from 255 to ``white``, by name if it has one."""
    for name, scaling in SCALINGS.items():
        if not scaling.bgr and _agree(scaling.ends, black, white):
            return name
    std = 255 / (white - black)
    return Scaling(1.0, tuple(-black * std), tuple(std))


def _agree(ends: Sequence[tuple[float, float]], black: NDArray[np.float64], white: NDArray[np.float64]) -> bool:
    low, high = np.transpose(ends)
    return len(low) in (1, len(black)) and np.allclose(black, low, atol=1e-3) and np.allclose(white, high, rtol=1e-3)
