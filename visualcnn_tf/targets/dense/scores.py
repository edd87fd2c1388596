"""The scores of masks: the logits of classes, summed over pixels."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from visualcnn_tf.gradients.tensors import gradient_dtype, to_gradient_dtype
from visualcnn_tf.targets.dense.head import DenseHead, find_dense_head
from visualcnn_tf.targets.graph_scores import one_hot


class MaskScores:
    """The logits of classes, each summed over pixels of its own: ``Σ_ij w_ij · z_ijk``.

    That is the score of Seg-Grad-CAM: Vinogradova, Dibrov and Myers, "Towards Interpretable Semantic Segmentation via
    Gradient-weighted Class Activation Mapping", 2020, https://arxiv.org/abs/2002.11434, equation 1. The weights ``w``
    are constants for the gradient, and a replay keeps those of the unchanged image.

    Args:
        head: the head of the model.
        classes: ``(B, n)`` int32, -1 where there is no such class.
        weights: of each pixel, ``(B, H, W)`` float32, for each of the ``n`` scores.
    """

    def __init__(self, head: DenseHead, classes: tf.Tensor, weights: Sequence[tf.Tensor]) -> None:
        self.head = head
        self.weights = weights
        # Nothing to explain is no class.
        axes = list(range(1, weights[0].shape.rank))
        exists = tf.stack([tf.reduce_any(tf.not_equal(one, 0.0), axes) for one in weights], 1)
        self.classes = tf.where(exists, classes, -tf.ones_like(classes))
        self.result = head.logits

    def seed(self, index: int) -> tf.Tensor:
        """Return the weights of the pixels at the class of each image, zeros elsewhere and for -1."""
        head = self.head
        dtype = gradient_dtype(head.logits.dtype)
        weights = tf.expand_dims(tf.cast(self.weights[index], dtype), head.class_axis)
        return weights * head.along_classes(self._signs(self.classes[:, index : index + 1], dtype))

    def one_hot(self, index: int) -> None:
        """Return None: the seed is not one-hot."""

    def of(self, output: tf.Tensor, index: int, repeats: int) -> tf.Tensor:
        """Return the scores ``(B, repeats)`` in what a replay returned for each image ``repeats`` times in a row."""
        seed = self.seed(index)
        seed = tf.reshape(seed, [-1, _size(seed), 1])
        logits = tf.reshape(to_gradient_dtype(find_dense_head(output).logits), [-1, repeats, _size(seed)])
        return tf.squeeze(tf.matmul(logits, seed), -1)

    def _signs(self, classes: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """Return ``(B, K)``: 1 at the class, zeros for -1; of one sigmoid mask 1 for class 1 and -1 for class 0."""
        if self.head.is_binary:
            return one_hot(classes, 2, dtype) @ tf.constant([[-1.0], [1.0]], dtype)
        return one_hot(classes, self.head.classes, dtype)


def _size(tensor: tf.Tensor) -> int | tf.Tensor:
    """Return how many values belong to one image."""
    sizes = tensor.shape[1:]
    return sizes.num_elements() or tf.reduce_prod(tf.shape(tensor)[1:])
