"""ClassIndex: one class, or several."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.targets.base import ClassHead, ClassTarget, Given, check_class_count


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class ClassIndex(ClassTarget):
    """Explain a class, whatever the model predicts, by its logit. ``7`` and ``[0, 7]`` are short for it.

    Args:
        index: the index of the class, from 0; or several different ones, for one heatmap each, whose keys end in
            ``_class<index>``. Of a single sigmoid unit class 1 is the logit, class 0 minus the logit.

    Raises:
        InvalidArgumentError: for anything else and, in ``attach``, for a class that the model does not have.

    Example:
        >>> ClassIndex([0, 7]).suffixes
        ('_class0', '_class7')
    """

    index: int | Sequence[int]

    def __post_init__(self) -> None:
        index: Any = self.index.tolist() if isinstance(self.index, (np.ndarray, np.generic)) else self.index
        several = isinstance(index, (list, tuple))
        given = list(index) if several else [index]
        indices = tuple(int(k) for k in given if is_class_index(k))
        if not given or len(set(indices)) < len(given):
            raise bad_value("index", "a class index from 0, or a list of different ones", self.index)
        object.__setattr__(self, "index", indices if several else indices[0])

    @property
    def indices(self) -> tuple[int, ...]:
        """All indices."""
        return (self.index,) if isinstance(self.index, int) else tuple(self.index)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """``("",)`` for a single index, ``_class<index>`` for each of several."""
        return ("",) if isinstance(self.index, int) else tuple(f"_class{k}" for k in self.index)

    def classes(self, head: ClassHead, given: Given) -> tf.Tensor:
        """Return the indices for each image, ``(B, n)``."""
        check_class_count(max(self.indices) + 1, head, self.index)
        return tf.zeros_like(head.likeliest(1)) + tf.constant([self.indices], tf.int32)


def is_class_index(value: object) -> bool:
    """Return whether a value is an integer of at least 0 (and no bool)."""
    try:
        return not isinstance(value, (bool, np.bool_)) and operator.index(value) >= 0  # type: ignore[arg-type]
    except TypeError:
        return False
