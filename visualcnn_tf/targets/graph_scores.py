"""The scores of a target in a graph: where the backward pass starts, and what a replay returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.gradients.last_layer import last_layer
from visualcnn_tf.gradients.tensors import gradient_dtype, to_gradient_dtype
from visualcnn_tf.targets.head import Head, find_head


class Scores(Protocol):
    """One scalar for each image and each score of a target.

    Attributes:
        classes: the explained classes, ``(B, n)`` int32, -1 where there is no such class; None for a target that is
            no class.
        result: the tensor in which the backward pass starts.
    """

    classes: tf.Tensor | None
    result: tf.Tensor

    def seed(self, index: int) -> tf.Tensor:
        """Return the derivative of the score of that index with respect to :attr:`result`, in float32."""

    def one_hot(self, index: int) -> tf.Tensor | None:
        """Return the classes ``(B, 1)`` of a seed that is one-hot, None for any other seed."""

    def of(self, output: tf.Tensor, index: int, repeats: int) -> tf.Tensor:
        """Return the scores ``(B, repeats)`` in what a replay returned for each image ``repeats`` times in a row."""


class ClassScores:
    """The logits of classes.

    Args:
        head: the head of the classifier.
        classes: ``(B, n)`` int32, -1 where there is no such class.
    """

    def __init__(self, head: Head, classes: tf.Tensor) -> None:
        self.head = head
        self.classes = classes
        self.result = head.logits

    def seed(self, index: int) -> tf.Tensor:
        """Return 1 at the class of each image, zeros for -1; for one sigmoid unit -1 stands for class 0."""
        logits = self.head.logits
        signs = self._signs(self._class(index), gradient_dtype(logits.dtype))
        return signs if logits.shape.rank == 2 else tf.reshape(signs, [-1, *logits.shape[1:]])

    def one_hot(self, index: int) -> tf.Tensor | None:
        """Return the classes ``(B, 1)`` of a seed that is one-hot, None for any other seed."""
        return None if self.head.is_binary or self.head.logits.shape.rank != 2 else self._class(index)

    def of(self, output: tf.Tensor, index: int, repeats: int) -> tf.Tensor:
        """Return the logits ``(B, repeats)`` in what a replay returned for each image ``repeats`` times in a row."""
        head, classes = find_head(output), self._class(index)
        last = None if head.is_binary else last_layer(head.logits)
        if last is not None:
            return last.scores(classes, repeats)
        logits = to_gradient_dtype(head.logits)
        signs = self._signs(classes, logits.dtype)
        return tf.reduce_sum(tf.reshape(logits, [-1, repeats, logits.shape[-1]]) * signs[:, tf.newaxis], -1)

    def _class(self, index: int) -> tf.Tensor:
        return self.classes[:, index : index + 1]

    def _signs(self, classes: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        if self.head.is_binary:
            return one_hot(classes, 2, dtype) @ tf.constant([[-1.0], [1.0]], dtype)
        return one_hot(classes, self.head.output.shape[-1], dtype)


class FunctionScores:
    """What a function makes of a model's output.

    Args:
        output: the model's output.
        function: from it to one score for each image, ``(B,)``.
    """

    classes = None

    def __init__(self, output: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor]) -> None:
        self.function = function
        self.result = self._score(output)

    def seed(self, index: int) -> tf.Tensor:
        """Return ones."""
        return tf.ones_like(to_gradient_dtype(self.result))

    def one_hot(self, index: int) -> None:
        """Return None: the seed is not one-hot."""

    def of(self, output: tf.Tensor, index: int, repeats: int) -> tf.Tensor:
        """Return the scores ``(B, repeats)`` in what a replay returned for each image ``repeats`` times in a row."""
        return tf.reshape(to_gradient_dtype(self._score(output)), [-1, repeats])

    def _score(self, output: tf.Tensor) -> tf.Tensor:
        score = self.function(output)
        if not tf.is_tensor(score) or score.shape.rank != 1 or not score.dtype.is_floating:
            received = f"{score.shape} of type {score.dtype.name}" if tf.is_tensor(score) else type(score).__name__
            raise InvalidArgumentError(
                "`target` must return one float score for each image, (B,), in TensorFlow operations on the output of "
                f"shape {output.shape}. Received: {received}. Reduce all axes but the first."
            )
        return score


def one_hot(classes: tf.Tensor, count: int, dtype: tf.DType) -> tf.Tensor:
    """Return ``(B, count)`` of classes ``(B, 1)``: 1 at the class, zeros for -1."""
    # Of tf.one_hot, and of a comparison, TensorFlow Lite's converter makes an EMBEDDING_LOOKUP in the weights that
    # follow, which fails at -1 and is refused in integers.
    return tf.nn.relu(1.0 - tf.abs(tf.cast(tf.range(count)[tf.newaxis] - classes, dtype)))
