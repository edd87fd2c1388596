"""FromInput: the class that is asked for in each call."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from visualcnn_tf.targets.base import ClassHead, ClassTarget, Given
from visualcnn_tf.targets.inputs import CLASS_INDEX, TargetInput, as_int32


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class FromInput(ClassTarget):
    """Explain the class that each call asks for. ``"input"`` is short for it.

    The explained model gets one more input, ``class_index``, ``(B,)`` int32, where -1 means the predicted class; so
    does a served model. A class that does not exist gets an all-zero heatmap, and -1 in ``explained_class``.

    Example:
        >>> [added.name for added in FromInput().inputs]
        ['class_index']
    """

    @property
    def inputs(self) -> tuple[TargetInput, ...]:
        """The class index."""
        return (CLASS_INDEX,)

    def classes(self, head: ClassHead, given: Given) -> tf.Tensor:
        """Return the classes asked for, ``(B, 1)``, -1 for one that does not exist; without any the predicted ones."""
        predicted = head.likeliest(1)
        class_index = given.get(CLASS_INDEX.name)
        if class_index is None:
            return predicted
        index = tf.reshape(as_int32(class_index), [-1, 1])
        asked = tf.where(tf.equal(index, CLASS_INDEX.none), predicted, index)
        exists = tf.logical_and(asked >= 0, asked < head.classes)
        return tf.where(exists, asked, -tf.ones_like(asked))
