"""Put the rows of lists of detections into the order in which the model returns them.

A detector returns its boxes in the order of their scores: outputs such as ``(B, N, 4)``, ``(B, N)`` and ``(B, N)`` for
boxes, scores and labels. Where two scores are nearly equal, rounding exchanges their rows, and nothing else. So rows of
nearly equal scores, and no others, are compared in whichever order fits best, all outputs of the list in the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf.export.types import Arrays


def in_the_models_order(got: Arrays, want: Arrays, names: Sequence[str], tolerance: float) -> Arrays:
    """Return outputs with the rows of each list in the order of the model's rows that they are nearest to.

    Args:
        got: The outputs of a file, or of the model for other inputs.
        want: The outputs of the model.
        names: The outputs among which lists are looked for: several with as many rows, or one of three axes, of which
            one column is sorted.
        tolerance: How much scores may differ by rounding, relative to the largest.
    """
    ordered = dict(got)
    for group in _groups(got, want, names):
        for example in range(len(want[group[0]])):
            a, b = (_table(arrays, group, example) for arrays in (got, want))
            order = _order(a, b, tolerance)
            if (order != np.arange(len(order))).any():
                for name in group:
                    ordered[name] = ordered[name].copy()
                    ordered[name][example] = got[name][example][order]
    return ordered


def _groups(got: Arrays, want: Arrays, names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the names of outputs that may be columns of one list, because they have as many rows."""
    by_rows: dict[int, list[str]] = {}
    for name in names:
        if want[name].ndim in (2, 3) and want[name].shape[1] > 1 and got[name].shape == want[name].shape:
            by_rows.setdefault(want[name].shape[1], []).append(name)
    for group in by_rows.values():
        # One output of two axes is a vector, such as the scores of the classes, and its order has a meaning.
        if len(group) > 1 or want[group[0]].ndim == 3:
            yield group


def _table(arrays: Mapping[str, np.ndarray], group: Sequence[str], example: int) -> NDArray[np.float64]:
    """Return the rows of a list, with the columns of all its outputs side by side."""
    columns = [arrays[name][example].astype(np.float64) for name in group]
    return np.concatenate([column.reshape(len(column), -1) for column in columns], axis=1)


def _order(got: NDArray[np.float64], want: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """Return which row of ``got`` stands for each row of ``want``."""
    order = np.arange(len(want))
    if not (np.isfinite(got).all() and np.isfinite(want).all()):
        return order
    scores = _scores(want)
    if scores is None:
        return order
    size = np.maximum(np.abs(want).max(0), np.finfo(np.float32).tiny)
    # Each of two scores may be off by the tolerance.
    starts = np.flatnonzero(np.diff(scores) < -2 * tolerance * np.abs(scores).max()) + 1
    for run in np.split(np.arange(len(want)), starts):
        free = list(run)
        for row in run if len(run) > 1 else ():
            distances = [(np.abs(got[other] - want[row]) / size).sum() for other in free]
            order[row] = free.pop(int(np.argmin(distances)))
    return order


def _scores(rows: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the column that the rows are sorted by, highest first; None if there is none.

    Of several sorted columns that with the most different values, so that the fewest rows are tied.
    """
    falls = np.diff(rows, axis=0)
    sorted_columns = [column for column in range(rows.shape[1]) if (falls[:, column] <= 0).all()]
    best = max(sorted_columns, key=lambda column: len(np.unique(rows[:, column])), default=None)
    return None if best is None or not falls[:, best].any() else rows[:, best]
