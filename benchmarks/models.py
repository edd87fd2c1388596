"""Models with random weights that are as lively as trained ones, and images to look at.

Freshly made, MobileNetV2 gives every image the same predictions: its batch normalizations start with statistics
that fit no layer, and the activations fade out. Nothing could be seen to go wrong there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

_PATCHES = 7


class Subject(NamedTuple):
    """A model, and how many images it gets at once."""

    name: str
    build: Callable[[], keras.Model]
    batch: int

    def make(self) -> tuple[keras.Model, np.ndarray]:
        """The model and its images ``(N, H, W, C)`` in [0, 1], the same each time."""
        keras.utils.set_random_seed(0)
        model = self.build()
        images = random_images(self.batch, *model.input_shape[1:])
        awaken(model, images)
        return model, images


def random_images(count: int, height: int, width: int, channels: int) -> np.ndarray:
    """Soft patches of random color: unlike those of plain noise, no two such images look alike to a CNN."""
    patches = np.random.default_rng(0).random((count, _PATCHES, _PATCHES, channels), dtype=np.float32)
    return tf.image.resize(patches, (height, width)).numpy()


def awaken(model: keras.Model, images: np.ndarray) -> None:
    """Gives each batch normalization the statistics of these images, as training would."""
    normalizations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in normalizations]
    for layer in normalizations:
        layer.momentum = 0.0
    model(images, training=True)
    for layer, momentum in zip(normalizations, momenta, strict=True):
        layer.momentum = momentum
