"""Ties between the classes of masks: how many pixels rounding may give to another class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def tied_masks(scores: NDArray[np.float64], found: np.ndarray, own: np.ndarray, tolerance: float) -> NDArray[np.bool_]:
    """Return for each example whether classes differ by no more pixels than may be predicted as another class.

    Args:
        scores: What the model returned, ``(B, …, K)``.
        found: The classes that the file explains, ``(B, n)``, -1 for none.
        own: Those that the model explains.
        tolerance: How much scores may differ by rounding, relative to the largest.
    """
    scores = scores.reshape(len(scores), -1, scores.shape[-1])
    allowed = 2 * tolerance * np.maximum(1.0, np.abs(scores).max((1, 2), initial=0.0))
    predicted, margin = _predicted(scores)
    unsure = (margin <= allowed[:, np.newaxis]).sum(1, keepdims=True)
    # No class is what no pixel is predicted as.
    counts = np.concatenate([predicted.sum(1), np.zeros((len(scores), 1))], 1)
    one, other = (np.take_along_axis(counts, classes.astype(int), 1) for classes in (found, own))
    tied: NDArray[np.bool_] = (np.abs(one - other) <= 2 * unsure).all(-1)
    return tied


def _predicted(scores: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which classes each pixel is predicted as, ``(B, n, K)``, and how clearly, ``(B, n)``."""
    if scores.shape[-1] == 1:
        likely = scores > 0.5
        return np.concatenate([~likely, likely], -1), np.abs(scores[..., 0] - 0.5)
    are_probabilities = scores.min(initial=0.0) >= 0 and scores.max(initial=0.0) <= 1
    if are_probabilities and not np.allclose(scores.sum(-1), 1, atol=1e-2):
        return scores > 0.5, np.abs(scores - 0.5).min(-1)
    largest = np.partition(scores, -2, axis=-1)[..., -2:]
    return np.eye(scores.shape[-1], dtype=bool)[scores.argmax(-1)], largest[..., 1] - largest[..., 0]
