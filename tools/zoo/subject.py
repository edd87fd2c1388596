"""One architecture with random weights that are as lively as trained ones, and inputs for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

#: Inputs that batch normalization takes its statistics of, and how many of them are explained.
SETTLING, SHOWN = 8, 2


@dataclass
class Subject:
    """A model, what it is explained on, and what it needs to know of it.

    Attributes:
        model: the model.
        inputs: some examples.
        options: for ``attach``: what is explained, where the model's output is not scores of classes.
        note: what a reader of the table has to know, or "".
    """

    model: Any
    inputs: Any
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def settled(self) -> Subject:
        """With the statistics of the inputs in every batch normalization, and few of the inputs.

        With those that it starts with, signals fade in deep networks until all maps, gradients and predictions are
        constant.
        """
        norms = [each for each in self.model._flatten_layers() if isinstance(each, keras.layers.BatchNormalization)]
        momenta = [layer.momentum for layer in norms]
        for layer in norms:
            layer.momentum = 0.0
        if norms:
            self.model(self.inputs, training=True)
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
        self.inputs = keras.tree.map_structure(lambda array: array[:SHOWN], self.inputs)
        return self


def soft(*shape: int, high: float = 1.0, seed: int = 0) -> np.ndarray:
    """Soft patches of random values, ``(SETTLING, *shape)``: unlike plain noise, no two look alike to a CNN."""
    few = [max(2, n // 8) for n in shape[:-1]]
    patches = np.random.default_rng(seed).uniform(0, high, (SETTLING, *few, shape[-1]))
    for axis, (n, size) in enumerate(zip(few, shape, strict=False), start=1):
        at = np.linspace(0, n - 1, size)
        left = np.minimum(at.astype(int), n - 2)
        part = (at - left).reshape(-1, *[1] * (patches.ndim - axis - 1))
        patches = np.take(patches, left, axis) * (1 - part) + np.take(patches, left + 1, axis) * part
    return patches.astype(np.float32)


@keras.saving.register_keras_serializable(package="zoo")
def mean_of_the_last_class(output: Any) -> Any:
    """A score of an output that is a map: of its last channel."""
    return tf.reduce_mean(output[..., -1], list(range(1, output.shape.rank - 1)))


Build = Callable[[], Subject]
