"""An architecture with random weights whose activations vary as those of trained ones, and inputs for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

#: How many inputs batch normalizations take their statistics from, and how many of these are explained.
ADAPTED_TO, EXPLAINED = 8, 2


@dataclass
class Subject:
    """A model and its inputs.

    Attributes:
        model: The model.
        inputs: Some examples.
        options: Options of ``attach``, such as the target of a model whose output is not class scores.
        note: A note for readers of the table, or "".
    """

    model: Any
    inputs: Any
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def adapted(self) -> Subject:
        """Set every batch normalization to the statistics of the inputs, and keep the first inputs only.

        With the initial statistics, signals vanish in deep networks until all maps, gradients and predictions are
        constant.
        """
        norms = [one for one in self.model._flatten_layers() if isinstance(one, keras.layers.BatchNormalization)]
        momenta = [layer.momentum for layer in norms]
        for layer in norms:
            layer.momentum = 0.0
        if norms:
            self.model(self.inputs, training=True)
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
        self.inputs = keras.tree.map_structure(lambda array: array[:EXPLAINED], self.inputs)
        return self


def soft(*shape: int, high: float = 1.0, seed: int = 0) -> np.ndarray:
    """Return soft patches of random values, ``(ADAPTED_TO, *shape)``, which a CNN can tell apart, unlike noise."""
    few = [max(2, n // 8) for n in shape[:-1]]
    patches = np.random.default_rng(seed).uniform(0, high, (ADAPTED_TO, *few, shape[-1]))
    for axis, (n, size) in enumerate(zip(few, shape, strict=False), start=1):
        position = np.linspace(0, n - 1, size)
        left = np.minimum(position.astype(int), n - 2)
        part = (position - left).reshape(-1, *[1] * (patches.ndim - axis - 1))
        patches = np.take(patches, left, axis) * (1 - part) + np.take(patches, left + 1, axis) * part
    return patches.astype(np.float32)


@keras.saving.register_keras_serializable(package="zoo")
def mean_of_last_channel(output: Any) -> Any:
    """Return a score of an output that is a map: the mean of its last channel."""
    return tf.reduce_mean(output[..., -1], list(range(1, output.shape.rank - 1)))


Build = Callable[[], Subject]
