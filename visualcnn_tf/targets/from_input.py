"""FromInput: the class that is asked for in each call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.targets.base import ClassTarget
from visualcnn_tf.targets.head import Head

#: The class index that means: whichever the model predicts.
PREDICTED_CLASS = -1


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class FromInput(ClassTarget):
    """Explain the class that each call asks for. ``"input"`` is short for it.

    The explained model gets one more input, ``class_index``, ``(B,)`` int32, where -1 means the predicted class; so
    does a served model. A class that does not exist gets an all-zero heatmap, and -1 in ``explained_class``.

    Example:
        >>> FromInput().takes_class_index
        True
    """

    takes_class_index: ClassVar[bool] = True

    def classes(self, head: Head, class_index: tf.Tensor | None) -> tf.Tensor:
        """Return the classes asked for, ``(B, 1)``, -1 for one that does not exist; without any the predicted ones."""
        predicted = head.likeliest(1)
        if class_index is None:
            return predicted
        given = tf.reshape(_as_int32(class_index), [-1, 1])
        asked = tf.where(tf.equal(given, PREDICTED_CLASS), predicted, given)
        exists = tf.logical_and(asked >= 0, asked < head.classes)
        return tf.where(exists, asked, -tf.ones_like(asked))


def _as_int32(class_index: tf.Tensor) -> tf.Tensor:
    """Return int32 numbers, clipped: a number that is far too large must not become the index of a class."""
    dtype = class_index.dtype
    if dtype.max > tf.int32.max:
        class_index = tf.minimum(class_index, tf.cast(tf.int32.max, dtype))
        if not dtype.is_unsigned:
            class_index = tf.maximum(class_index, tf.cast(tf.int32.min, dtype))
    return tf.cast(class_index, tf.int32)
