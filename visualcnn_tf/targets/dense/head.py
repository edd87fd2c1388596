"""The head of a segmentation model: its output, its logits, and which class each pixel is predicted as."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import tensorflow as tf

from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.gradients.tensors import to_gradient_dtype
from visualcnn_tf.targets.dense.class_axis import channel_axis
from visualcnn_tf.targets.logits import Logits, find_logits

_RANKS = (4, 5)  # of masks of images and volumes


@dataclass(frozen=True, eq=False)
class DenseHead:
    """The end of a model that scores classes at each position, such as each pixel.

    A pixel is predicted as the likeliest class. Where the classes do not exclude each other, as the sigmoids of
    several, it is predicted as each class that is likelier than not.

    Attributes:
        output: what the model returns, ``(B, H, W, K)`` or ``(B, K, H, W)``, with any number of spatial axes.
        logits: what its softmax or sigmoid reads, of the same shape, or the output itself.
        kind: ``"softmax"``, ``"sigmoid"`` or ``"linear"``.
        class_axis: the axis of the classes.
    """

    output: tf.Tensor
    logits: tf.Tensor
    kind: str
    class_axis: int

    @property
    def classes(self) -> int:
        """The number of classes: a single sigmoid mask tells two."""
        return 2 if self.is_binary else int(self.output.shape[self.class_axis])

    @property
    def is_binary(self) -> bool:
        """Whether one sigmoid mask stands for two classes."""
        return self.kind == "sigmoid" and self.output.shape[self.class_axis] == 1

    @property
    def space_axes(self) -> list[int]:
        """The spatial axes of the output."""
        return [axis for axis in range(1, self.output.shape.rank) if axis != self.class_axis]

    @property
    def space(self) -> tuple[int | None, ...]:
        """The spatial size of the output, ``(H, W)``."""
        return tuple(self.output.shape[axis] for axis in self.space_axes)

    def likeliest(self, count: int) -> tf.Tensor:
        """Return the classes that most pixels are predicted as, ``(B, count)`` int32, the most first.

        Of classes with as many pixels, the one with the lower index comes first.
        """
        pixels = self._pixel_counts()
        if count == 1:
            return tf.expand_dims(tf.argmax(pixels, -1, output_type=tf.int32), 1)
        return tf.math.top_k(pixels, count).indices

    def predicted_as(self, classes: tf.Tensor) -> tf.Tensor:
        """Return which pixels are predicted as a class of each image, zeros and ones ``(B, H, W)`` float32.

        Args:
            classes: ``(B, 1)`` int32; -1, no class, is predicted nowhere.
        """
        if self._is_exclusive:
            return tf.cast(tf.equal(self._labels, tf.reshape(classes, [-1, *[1] * len(self.space)])), tf.float32)
        chosen = tf.cast(tf.equal(tf.range(self.classes)[tf.newaxis], classes), tf.float32)
        return tf.reduce_sum(self._likely * self.along_classes(chosen), self.class_axis)

    def along_classes(self, values: tf.Tensor) -> tf.Tensor:
        """Return values of classes ``(B, K)`` as ``(B, 1, 1, K)`` or ``(B, K, 1, 1)``, as the output has them."""
        sizes = [1] * (self.output.shape.rank - 1)
        sizes[self.class_axis - 1] = values.shape[-1]
        return tf.reshape(values, [-1, *sizes])

    @property
    def _is_exclusive(self) -> bool:
        return self.kind != "sigmoid" or self.is_binary

    @cached_property
    def _values(self) -> tf.Tensor:
        # Of what the model returns, not of the logits, as in `Head.likeliest`.
        return to_gradient_dtype(self.output)

    @cached_property
    def _labels(self) -> tf.Tensor:
        """The class that each pixel is predicted as, ``(B, H, W)`` int32."""
        if self.is_binary:
            return tf.cast(tf.squeeze(self._values, self.class_axis) > 0.5, tf.int32)
        return tf.argmax(self._values, self.class_axis, output_type=tf.int32)

    @cached_property
    def _likely(self) -> tf.Tensor:
        """The classes that each pixel is predicted as, zeros and ones of the output's shape."""
        return tf.cast(self._values > 0.5, tf.float32)

    def _pixel_counts(self) -> tf.Tensor:
        """Return how many pixels are predicted as each class, ``(B, K)`` float32."""
        if not self._is_exclusive:
            return tf.reduce_sum(self._likely, self.space_axes)
        each = tf.equal(tf.expand_dims(self._labels, -1), tf.range(self.classes))
        return tf.reduce_sum(tf.cast(each, tf.float32), list(range(1, each.shape.rank - 1)))


def is_dense(output: tf.Tensor) -> bool:
    """Return whether an output may hold scores of classes at each position of an image or a volume."""
    return output.shape.rank in _RANKS and bool(output.dtype.is_floating)


def find_dense_head(output: tf.Tensor) -> DenseHead:
    """Find classes and logits of a model's output ``(B, H, W, K)`` or ``(B, K, H, W)``, a tensor of the current graph.

    Raises:
        InvalidArgumentError: for any other output.
    """
    if not is_dense(output):
        raise InvalidArgumentError(
            "`target` explains masks of the scores of classes, (B, H, W, K) or (B, K, H, W). Received: an output of "
            f"shape {output.shape} and type {output.dtype.name}. For scores (B, K) use a class index."
        )
    found = find_logits(output)
    axis = _class_axis(found)
    count = output.shape[axis]
    if count is None or (count == 1 and found.kind != "sigmoid"):
        raise InvalidArgumentError(
            "`target` must be a callable for masks that are not known to be scores of classes, such as "
            "`target=lambda masks: ...` of shape (B,). Received: an output of shape "
            f"{output.shape} with {count or 'an unknown number of'} channel{'' if count == 1 else 's'} and no softmax "
            "or sigmoid. If these are logits, end the model in the sigmoid."
        )
    return DenseHead(output, found.tensor, found.kind, axis)


def _class_axis(found: Logits) -> int:
    return channel_axis(found.tensor) if found.class_axis is None else found.class_axis
