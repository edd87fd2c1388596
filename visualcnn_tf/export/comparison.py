"""Compare the outputs of an exported file with the outputs of the model, example by example.

Another runtime rounds differently, so outputs are never required to be equal. How far rounding alone may move an output
depends on the model: scaling a nearly constant map to [0, 1], for example, turns the last bit into a large difference.
So it is measured: the model runs once more on inputs that differ in their last bits (:func:`nudged`), and an output may
differ by a few times what this changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf.export.types import Arrays

_NUDGE = 2.0**-22  # one or two steps in the last bit of a float32
_KERNELS = 4.0  # how many times as much as that other kernels may round
# A map whose values differ by no more than the rounding of its largest is constant.
_CONSTANT = 4 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Comparison:
    """An output of an exported file beside that of the model, in arrays with one entry for each example.

    Attributes:
        difference: The largest absolute difference; infinite for NaN or infinity.
        mean_difference: The mean absolute difference, likewise.
        rounding: By how much rounding alone may change the output; of uint8, where a value halfway between two steps
            may be rounded either way, by how much on average.
        magnitude: The largest absolute value in the model, at least 1: what tolerances are relative to.
        correlation: Pearson's, over the values of one example, see :func:`correlations`.
        blank: Whether all values are 0 in the model.
        agrees: Whether the largest value is at the same index, see :func:`same_class`; as a share of the positions
            where an output has a class for each. NaN where there are no classes.
        counts: Whether the example counts in statistics; not if the file explains another class there.
        sums: Of each example the number of values, and the sums of a, b, a², b² and ab, ``(B, 6)``.
        shape: The shape of one example.
        dtype: The type of the model's output.
    """

    difference: NDArray[np.float64]
    mean_difference: NDArray[np.float64]
    rounding: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    correlation: NDArray[np.float64]
    blank: NDArray[np.bool_]
    agrees: NDArray[np.float64]
    counts: NDArray[np.bool_]
    sums: NDArray[np.float64]
    shape: tuple[int, ...]
    dtype: np.dtype

    def __len__(self) -> int:
        return len(self.difference)

    @classmethod
    def joined(cls, parts: Sequence[Comparison], count: int) -> Comparison:
        """Return the comparison of the first ``count`` examples of several batches."""
        names = [field.name for field in fields(cls) if field.name not in ("shape", "dtype")]
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])[:count] for name in names
        }
        return replace(parts[0], **joined)


def compare(got: np.ndarray, want: np.ndarray, nudged_want: np.ndarray, has_classes: bool = False) -> Comparison:
    """Compare a batch of one output.

    Args:
        got: The output of the file, of the same shape.
        want: The output of the model.
        nudged_want: The output of the model for :func:`nudged` inputs.
        has_classes: Whether the output holds classes, or scores of classes.
    """
    a, b, c = map(_rows, (got, want, nudged_want))
    distance = np.where(np.isfinite(a) & np.isfinite(b), np.abs(a - b), np.inf)
    moved, summary = np.abs(c - b), (np.mean if want.dtype == np.uint8 else np.max)
    return Comparison(
        difference=distance.max(-1, initial=0.0),
        mean_difference=_mean(distance),
        rounding=_KERNELS * (summary(moved, axis=-1) if moved.shape[-1] else np.zeros(len(moved))),
        magnitude=np.abs(b).max(-1, initial=1.0),
        correlation=correlations(a, b),
        blank=np.asarray(np.all(b == 0, axis=-1)),
        agrees=same_class(got, want) if has_classes else np.full(len(want), np.nan),
        counts=np.ones(len(want), bool),
        sums=np.stack([np.full(len(a), a.shape[-1], float), *(x.sum(-1) for x in (a, b, a * a, b * b, a * b))], -1),
        shape=want.shape[1:],
        dtype=want.dtype,
    )


def correlations(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation of each row of ``(B, n)`` with the same row of another array.

    It is undefined for a constant row, such as a blank map. Two constant rows correlate by 1: neither shows anything.
    If only one is constant, by 0: the other shows what is not there. So does a row with NaN or infinity.
    """
    finite = np.all(np.isfinite(a) & np.isfinite(b), axis=-1, keepdims=True)
    a, b = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
    flat = _is_constant(a), _is_constant(b)
    a, b = a - _mean(a)[:, None], b - _mean(b)[:, None]
    # Scaled, so that the squares of small maps do not vanish.
    a, b = (x / np.maximum(np.abs(x).max(-1, initial=0.0), np.finfo(float).tiny)[:, None] for x in (a, b))
    spread = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    found = (a * b).sum(-1) / np.where(spread > 0, spread, 1.0)
    undefined = np.where(flat[0] & flat[1], 1.0, 0.0)
    return np.where(finite[:, 0], np.where(flat[0] | flat[1], undefined, np.clip(found, -1.0, 1.0)), 0.0)


def pooled_correlation(sums: NDArray[np.float64]) -> float:
    """Return Pearson's correlation over the values of all examples, of their ``sums``; see :func:`correlations`."""
    n, a, b, aa, bb, ab = sums.sum(0)
    if not np.isfinite(sums).all() or not n:
        return 0.0
    variances = np.array([aa / n - (a / n) ** 2, bb / n - (b / n) ** 2])
    flat = variances <= _CONSTANT**2 * np.array([aa, bb]) / n
    if flat.any():
        return float(flat.all())
    return float(np.clip((ab / n - a * b / n**2) / np.sqrt(variances.prod()), -1.0, 1.0))


def same_class(got: np.ndarray, want: np.ndarray) -> NDArray[np.float64]:
    """Return for each example on which share of its positions the largest value is at the same index.

    A single probability is that of the second of two classes. Integers are classes themselves. NaN where there are no
    classes: for single values that are no probabilities.
    """
    if want.dtype.kind in "biu":
        same = got == want
    elif want.ndim < 2 or want.shape[-1] > 1:
        same = np.argmax(got, -1) == np.argmax(want, -1) if want.ndim > 1 else np.full(want.shape, np.nan)
    elif ((want >= 0) & (want <= 1)).all():
        same = (got > 0.5) == (want > 0.5)
    else:
        same = np.full(want.shape, np.nan)
    return _mean(np.asarray(same, np.float64).reshape(len(want), -1))


def nudged(examples: Arrays) -> Arrays:
    """Return the examples with all floats changed by a few steps in their last bit."""
    return {
        name: (value * (1 + _NUDGE)).astype(value.dtype) if value.dtype.kind == "f" else value
        for name, value in examples.items()
    }


def _rows(array: np.ndarray) -> NDArray[np.float64]:
    return array.astype(np.float64).reshape(len(array), -1)


def _mean(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each row, 0 of rows without values."""
    found: NDArray[np.float64] = rows.sum(-1) / max(1, rows.shape[-1])
    return found


def _is_constant(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    if not rows.shape[-1]:
        return np.ones(len(rows), bool)
    constant: NDArray[np.bool_] = np.ptp(rows, axis=-1) <= _CONSTANT * np.abs(rows).max(-1)
    return constant
