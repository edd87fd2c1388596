"""TopK: the likeliest classes."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, is_count
from visualcnn_tf.targets.base import ClassHead, ClassTarget, Given, check_class_count

# No model has so many classes, and each gets a key of its own before their number is known.
_MOST = 2**16


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class TopK(ClassTarget):
    """Explain the ``k`` likeliest classes of each image, one heatmap each. ``"top3"`` is short for ``TopK(3)``.

    Args:
        k: the number of classes. Keys end in ``_top1`` (the likeliest) to ``_top<k>``.

    Raises:
        InvalidArgumentError: for anything else and, in ``attach``, for more classes than the model has.

    Example:
        >>> TopK(2).suffixes
        ('_top1', '_top2')
    """

    k: int

    def __post_init__(self) -> None:
        if not is_count(self.k) or int(self.k) >= _MOST:
            raise bad_value("k", f"a number of classes from 1 to {_MOST - 1}", self.k)
        object.__setattr__(self, "k", int(self.k))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """``_top1`` to ``_top<k>``."""
        return tuple(f"_top{rank}" for rank in range(1, self.k + 1))

    def classes(self, head: ClassHead, given: Given) -> tf.Tensor:
        """Return the likeliest classes, ``(B, k)``, the likeliest first."""
        check_class_count(self.k, head, f"top{self.k}")
        return head.likeliest(self.k)
