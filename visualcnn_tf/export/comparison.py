"""Compare the outputs of an exported file with the outputs of the model.

Another runtime rounds differently, so outputs are never required to be equal. How far rounding alone may move an output
depends on the model: scaling a nearly constant map to [0, 1], for example, turns the last bit into a large difference.
So it is measured: the model runs once more on inputs that differ in their last bits (:func:`nudged`), and an output may
differ by a few times what this changes (:func:`rounding_tolerance`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from visualcnn_tf.export.types import Arrays

#: A map that correlates with the model's map by this much is the same map, moved evenly by rounding.
SAME_MAP = 0.9999

_NUDGE = 2.0**-22  # one or two steps in the last bit of a float32
_KERNELS = 4.0  # how many times as much as that other kernels may round


@dataclass(frozen=True)
class OutputCheck:
    """How closely an output of an exported file matches the output of the Keras model.

    Attributes:
        max_difference: The largest absolute difference of any value, on a scale of 0 to 255 for uint8. Infinite if the
            shapes differ or the file returns NaN or infinity.
        correlation: Pearson's correlation over all values, -1 to 1; 1 if both are constant, 0 if only one is.
    """

    max_difference: float
    correlation: float


def check_output(got: ArrayLike, want: ArrayLike) -> OutputCheck:
    """Compare two arrays of the same shape."""
    a, b = (np.asarray(x).astype(np.float64).ravel() for x in (got, want))
    if a.shape != b.shape or not np.isfinite(a).all():
        return OutputCheck(float("inf"), 0.0)
    spread = a.std() * b.std()
    constant = 1.0 if a.std() == b.std() == 0 else 0.0
    correlation = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread else constant
    return OutputCheck(float(np.abs(a - b).max(initial=0.0)), correlation)


def nudged(examples: Arrays) -> Arrays:
    """Return the examples with all floats changed by a few steps in their last bit."""
    return {
        name: (value * (1 + _NUDGE)).astype(value.dtype) if value.dtype.kind == "f" else value
        for name, value in examples.items()
    }


def rounding_tolerance(want: tf.Tensor, nudged_want: tf.Tensor) -> float:
    """Return how much rounding alone may change an output.

    Args:
        want: The model's output.
        nudged_want: The same output for :func:`nudged` inputs.
    """
    return _KERNELS * difference(nudged_want, want)


def difference(got: tf.Tensor, want: tf.Tensor) -> float:
    """Return the largest absolute difference; for uint8 the mean one.

    A uint8 value halfway between two steps may be rounded either way, so the largest difference says little there.
    """
    distance = np.abs(_float64(got) - _float64(want))
    return float(np.mean(distance) if want.dtype == tf.uint8 else np.max(distance, initial=0.0))


def magnitude(value: tf.Tensor) -> float:
    """Return the largest absolute value, at least 1: what tolerances are relative to."""
    return max(1.0, float(np.max(np.abs(_float64(value)), initial=0.0)))


def _float64(tensor: tf.Tensor) -> np.ndarray:
    return np.asarray(tf.cast(tensor, tf.float64))
