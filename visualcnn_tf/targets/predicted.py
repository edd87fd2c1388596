"""Predicted: the class that the model predicts."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from visualcnn_tf.targets.base import ClassHead, ClassTarget, Given


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Predicted(ClassTarget):
    """Explain the predicted class of each image, by its logit. ``"predicted"`` is short for it.

    Example:
        >>> Predicted().suffixes
        ('',)
    """

    def classes(self, head: ClassHead, given: Given) -> tf.Tensor:
        """Return the predicted classes, ``(B, 1)``."""
        return head.likeliest(1)
