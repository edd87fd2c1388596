"""The network of the tests of files and commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

layers = keras.layers


def small_cnn(channels: int = 3, size: int | None = 12, before: Sequence[Any] = ()) -> Any:
    """Two convolutions and a softmax of three classes, with fixed random weights; layers may come before them."""
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((size, size, channels), name="image"),
            *before,
            layers.Conv2D(4, 3, padding="same", activation="relu", name="first"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(5, 3, name="second"),
            layers.GlobalAveragePooling2D(name="average"),
            layers.Dense(3, activation="softmax", name="head"),
        ],
        name="small",
    )
