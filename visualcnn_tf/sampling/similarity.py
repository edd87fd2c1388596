"""How much the detections in an image are like one that is to be explained."""

from __future__ import annotations

import numpy as np


def similarity(
    box: np.ndarray, scores: np.ndarray, boxes: np.ndarray, all_scores: np.ndarray, objectness: np.ndarray
) -> np.ndarray:
    """Return the likeness of a detection to the detection of each image that is most like it.

    ``max_j IoU(box, box_j) · cos(scores, scores_j) · objectness_j``: Petsiuk et al., "D-RISE",
    https://arxiv.org/abs/2006.03204, equations 2 to 5.

    Args:
        box: left, top, right, bottom.
        scores: of all classes, ``(K,)``.
        boxes: of each image, ``(n, N, 4)``.
        all_scores: ``(n, N, K)``.
        objectness: the probability that there is an object in each box, ``(n, N)``.

    Returns:
        ``(n,)``, from 0 to 1; 0 for an image without boxes.
    """
    like = intersection_over_union(box, boxes) * _cosine(scores, all_scores) * objectness
    return np.asarray(like.max(-1, initial=0.0))


def intersection_over_union(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the overlap ``(n, N)`` of a box with boxes ``(n, N, 4)``; 0 where one of them has no area."""
    low, high = np.maximum(boxes[..., :2], box[:2]), np.minimum(boxes[..., 2:], box[2:])
    shared = np.prod(np.maximum(high - low, 0), -1)
    total = _area(box) + _area(boxes) - shared
    return np.where(shared > 0, shared / np.where(shared > 0, total, 1), 0.0)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.asarray(np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), -1))


def _cosine(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(one) * np.linalg.norm(others, axis=-1)
    return np.where(length > 0, others @ one / np.where(length > 0, length, 1), 0.0)
