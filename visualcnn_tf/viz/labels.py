"""The true classes of images, as users have them: class indices, one-hot rows or names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.targets.class_names import index_of

Labels: TypeAlias = NDArray[Any]

_ALLOWED = "class indices (N,), one-hot rows (N, classes) or class names (N,), one for each image"


def class_indices(labels: ArrayLike, names: Sequence[str] | None, count: int) -> list[int]:
    """Return the class index of each of ``count`` images.

    Args:
        labels: Class indices ``(N,)`` or ``(N, 1)``, one-hot rows ``(N, classes)`` or class names ``(N,)``.
        names: The names of all classes, None if they are unknown.
        count: The number of images.

    Raises:
        InvalidArgumentError: The labels are none of these, or not one for each image.
    """
    array = _array(labels)
    if array.ndim not in (1, 2):
        raise bad_value("labels", _ALLOWED, f"shape {array.shape}")
    if len(array) != count:
        raise bad_value("labels", f"one for each image ({count})", f"{len(array)} of them")
    if array.dtype.kind in "OU":
        return _of_names(array, names)
    indices = array.reshape(-1) if array.size == count else _of_one_hot(array)
    numbers = indices.astype(np.float64)
    if not np.array_equal(numbers, np.round(numbers)):  # also for NaN
        raise bad_value("labels", _ALLOWED, labels, "Indices are whole numbers.")
    return [int(number) for number in numbers]


def _array(labels: ArrayLike) -> Labels:
    """Return labels as an array of numbers or names."""
    try:
        array = np.asarray(labels)
    except ValueError:  # lists of different lengths
        raise bad_value("labels", _ALLOWED, labels) from None
    array = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
    is_names = array.dtype.kind == "U" or all(isinstance(one, str) for one in array.ravel())
    if not (array.dtype.kind in "biuf" or (is_names and array.ndim == 1 and array.size)):
        raise bad_value("labels", _ALLOWED, labels)
    return array


def _of_names(labels: Labels, names: Sequence[str] | None) -> list[int]:
    if names is None:
        raise bad_value("labels", "class indices without `class_names`", labels.tolist(), "Pass `class_names`, too.")
    return [index_of(str(label), names, "labels") for label in labels]


def _of_one_hot(rows: Labels) -> Labels:
    """Return the position of the only 1 in each row."""
    if np.any((rows != 0) & (rows != 1)) or np.any(np.sum(rows != 0, axis=1) != 1):
        raise InvalidArgumentError(
            f"`labels` of shape {rows.shape} must be one-hot rows: a single 1, and 0 elsewhere. Received: "
            f"{rows[0].tolist()} and others. Pass class indices, such as `labels.argmax(axis=1)`."
        )
    return np.asarray(np.argmax(rows, axis=1))
