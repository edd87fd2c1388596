"""Detections: the scores, classes and corners of the boxes in a detector's outputs."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize
from visualcnn_tf.gradients.tensors import to_gradient_dtype

# Below every score, as large as a float16 can be.
_NEVER = -6e4


@dataclass(frozen=True, eq=False)
class Detections:
    """The boxes of each image in a detector's outputs, tensors of the graph that is being built.

    Attributes:
        output: the name of the output that holds the scores.
        scores: the scores of the classes of each box, ``(B, N, K)``; ``(B, N, 1)`` where each box has one class.
        classes: the class of each box, ``(B, N)``, where each has one.
        boxes: four numbers for each box, ``(B, N, 4)``, as the model returns them; None where it is not known which.
        count: how many rows hold boxes, ``(B,)``; None where all do.
    """

    output: str
    scores: tf.Tensor
    classes: tf.Tensor | None = None
    boxes: tf.Tensor | None = None
    count: tf.Tensor | None = None

    @property
    def size(self) -> AxisSize:
        """The number of boxes, a tensor where it is not known."""
        return self.scores.shape[1] or tf.shape(self.scores)[1]

    @property
    def class_count(self) -> int | None:
        """The number of classes, None where each box has one of an unknown number."""
        return None if self.classes is not None else int(self.scores.shape[-1])

    def exist(self, index: tf.Tensor) -> tf.Tensor:
        """Return which of some boxes ``(B, n)`` there are, bool: padded rows hold none."""
        exists = tf.logical_and(index >= 0, index < self.size)
        if self.count is not None:
            exists = tf.logical_and(exists, index < tf.reshape(tf.cast(self.count, tf.int32), [-1, 1]))
        if self.classes is None:
            return exists
        return tf.logical_and(exists, rows(self.classes, self.inside(index)) >= 0)

    def inside(self, index: tf.Tensor) -> tf.Tensor:
        """Return the boxes, those that do not exist replaced by some that do."""
        return tf.clip_by_value(index, 0, self.size - 1)

    def classes_of(self, index: tf.Tensor, background: int | None) -> tf.Tensor:
        """Return the class with the highest score of some existing boxes ``(B, n)``, or the one that a box has."""
        if self.classes is not None:
            return tf.cast(rows(self.classes, index), tf.int32)
        found = to_gradient_dtype(rows(self.scores, index))
        return tf.argmax(found + self._without(background), -1, output_type=tf.int32)

    def values_of(self, index: tf.Tensor, column: tf.Tensor | int) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return scores ``(B, n)`` and corners ``(B, n, 4)`` of some boxes; zeros for those that do not exist."""
        inside, exists = self.inside(index), tf.cast(self.exist(index), tf.float32)
        columns = int(self.scores.shape[-1])
        one_hot = tf.one_hot(column + tf.zeros_like(index), columns)
        scores = tf.reduce_sum(tf.cast(rows(self.scores, inside), tf.float32) * one_hot, -1) * exists
        if self.boxes is None:
            return scores, None
        return scores, tf.cast(rows(self.boxes, inside), tf.float32) * exists[..., tf.newaxis]

    def best(self, class_index: int | None, background: int | None) -> tf.Tensor:
        """Return the box with the highest score in each image, ``(B, 1)``, of one class or of all."""
        scores = to_gradient_dtype(self.scores)
        if class_index is not None:
            highest = scores[..., class_index]
        else:
            highest = tf.reduce_max(scores + self._without(background), -1)
        return tf.argmax(highest, 1, output_type=tf.int32)[:, tf.newaxis]

    def _without(self, background: int | None) -> tf.Tensor:
        """Return what is added to the scores so that the background is never the highest: ``(K,)``."""
        count = int(self.scores.shape[-1])
        left_out = None if background is None else background % count
        return tf.constant([_NEVER * (k == left_out) for k in range(count)], to_gradient_dtype(self.scores).dtype)


def rows(tensor: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Return rows of each image, ``(B, n, ...)``, of a tensor ``(B, N, ...)``, by their numbers ``(B, n)``."""
    # Of a flat tensor: not all exported formats gather in batches.
    count = tensor.shape[1] or tf.shape(tensor)[1]
    inner = list(tensor.shape[2:])
    images = tf.range(tf.shape(index)[0])[:, tf.newaxis]
    return tf.gather(tf.reshape(tensor, [-1, *inner]), index + images * count)
