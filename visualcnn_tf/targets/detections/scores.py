"""The scores of boxes in a graph: the logit of one class of one box for each image."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.gradients.tensors import gradient_dtype, to_gradient_dtype
from visualcnn_tf.targets.detections.dense_head import find_dense_head
from visualcnn_tf.targets.detections.detections import Detections
from visualcnn_tf.targets.detections.sources import find_sources
from visualcnn_tf.targets.graph_scores import one_hot


class BoxScores:
    """The logits of boxes.

    Which logit that is, among all from which the detector selects its boxes, is found in the run that is explained. A
    replay returns that same logit, wherever the detector sorts the box then.

    Args:
        detections: the boxes of each image.
        index: which of them are explained, ``(B, n)`` int32.
        classes: their classes, ``(B, n)`` int32.
    """

    def __init__(self, detections: Detections, index: tf.Tensor, classes: tf.Tensor) -> None:
        exists = detections.exist(index)
        columns = int(detections.scores.shape[-1])
        # Where each box has one class, its score is the only one.
        column = classes if detections.classes is None else 0
        found = find_sources(detections.scores, detections.inside(index) * columns + column)
        self._detections = detections
        self.index = _where(exists, index)
        self.classes = _where(exists, classes)
        self.result = found.logits
        #: What the model returns for each box: the score of its class, ``(B, n)``, and its corners, ``(B, n, 4)``.
        self.values, self.boxes = detections.values_of(index, column)
        self._positions = _where(exists, found.positions)

    @property
    def probabilities(self) -> list[tf.Tensor]:
        """The probabilities of all classes at each level of the dense head, ``(B, h, w, A, K)``, the finest first."""
        head = find_dense_head(self._detections)
        return [] if head is None else head.probabilities

    def seed(self, index: int) -> tf.Tensor:
        """Return 1 at the logit of each image's box, zeros where there is no such box."""
        return one_hot(self._position(index), _length(self.result), gradient_dtype(self.result.dtype))

    def one_hot(self, index: int) -> None:
        """Return None: the logits are those of many boxes, and a seed selects one of all."""

    def of(self, output: Detections, index: int, repeats: int) -> tf.Tensor:
        """Return the logits ``(B, repeats)`` in what a replay returned for each image ``repeats`` times in a row."""
        logits = to_gradient_dtype(find_sources(output.scores).logits)
        rows = tf.reshape(tf.range(tf.shape(logits)[0]), [-1, repeats])
        found = rows * _length(logits) + tf.maximum(self._position(index), 0)
        return tf.gather(tf.reshape(logits, [-1]), found)

    def _position(self, index: int) -> tf.Tensor:
        return self._positions[:, index : index + 1]


def _where(exists: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Return values, -1 where there is no box."""
    return tf.where(exists, values, -tf.ones_like(values))


def _length(logits: tf.Tensor) -> int | tf.Tensor:
    return logits.shape[1] or tf.shape(logits)[1]
