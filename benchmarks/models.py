"""Models with random weights whose activations vary as those of trained ones, and images for them.

A new MobileNetV2 gives every image the same predictions: its batch normalizations start with statistics that fit no
layer, and the activations vanish. Checks on such a model would pass whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

_PATCHES = 7


class Subject(NamedTuple):
    """A model, and the size of its batches."""

    name: str
    build: Callable[[], keras.Model]
    batch: int

    def make(self) -> tuple[keras.Model, np.ndarray]:
        """Return the model and images ``(N, H, W, C)`` in [0, 1], the same each time."""
        keras.utils.set_random_seed(0)
        model = self.build()
        images = random_images(self.batch, *model.input_shape[1:])
        adapt_normalizations(model, images)
        return model, images


def random_images(count: int, height: int, width: int, channels: int) -> np.ndarray:
    """Return images of soft, randomly colored patches, which a CNN can tell apart (unlike images of plain noise)."""
    patches = np.random.default_rng(0).random((count, _PATCHES, _PATCHES, channels), dtype=np.float32)
    return tf.image.resize(patches, (height, width)).numpy()


def adapt_normalizations(model: keras.Model, images: np.ndarray) -> None:
    """Set the statistics of each batch normalization to those of the images, as training would."""
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in normalizations]
    for layer in normalizations:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, momentum in zip(normalizations, momenta, strict=True):
        layer.momentum = momentum
