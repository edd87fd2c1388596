"""The small CNN of the long checks, its explained models, and how outputs are compared."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc

SHAPE = (16, 16, 3)


class SoakError(Exception):
    """Something leaked, hung or returned a wrong result."""


def cnn() -> Any:
    """Return the CNN, with the same weights in every process."""
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.Input(SHAPE, name="image"),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="first"),
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Conv2D(8, 3, activation="relu", name="second"),
            keras.layers.GlobalAveragePooling2D(name="average"),
            keras.layers.Dense(5, activation="softmax", name="head"),
        ],
        name="soaked",
    )


def attached(model: Any, number: int = 0) -> Any:
    """Return one of three explained models: by activations, by gradients, by running the head again."""
    options: list[dict[str, Any]] = [
        {"method": "deviation", "combine": "mean"},
        {"layers": "last", "method": "gradcam"},
        {"layers": "last", "method": "reciprocam"},
    ]
    return vc.attach(model, **options[number % len(options)])


def images(count: int, seed: int = 0) -> Any:
    """Return random images."""
    return np.random.default_rng(seed).random((count, *SHAPE), np.float32)


def arrays(outputs: Any) -> dict[str, Any]:
    """Return the outputs of a model, explained or not, as NumPy arrays by name."""
    named = outputs if isinstance(outputs, dict) else {"predictions": outputs}
    return {name: np.asarray(value) for name, value in named.items()}


def check_same(what: str, got: Any, want: Any) -> None:
    """Raise unless all outputs are equal up to rounding."""
    got, want = arrays(got), arrays(want)
    if set(got) != set(want):
        raise SoakError(f"{what}: outputs {sorted(got)} instead of {sorted(want)}")
    for name, value in want.items():
        if not np.allclose(got[name], value, atol=1e-5, rtol=0):
            raise SoakError(f"{what}: {name!r} differs by {np.max(np.abs(got[name] - value)):.3g}")
