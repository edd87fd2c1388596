"""The dense layer that computes the logits, so that the logit of one class can be computed without all others.

Methods that run the classifier many times need one column of its weights only, which is cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf.gradients.rules.linear import columns_of
from visualcnn_tf.gradients.tensors import PASS_THROUGH, to_gradient_dtype


@dataclass(frozen=True, eq=False)
class LastLayer:
    """A dense layer without its activation.

    Attributes:
        inputs: ``(N, n)``.
        kernel: ``(n, K)``.
        bias: ``(K,)``, or None.
    """

    inputs: tf.Tensor
    kernel: tf.Tensor
    bias: tf.Tensor | None

    def scores(self, classes: tf.Tensor, repeats: int) -> tf.Tensor:
        """Compute the logits of one class for each image.

        Args:
            classes: class index of each image, ``(B, 1)`` int32.
            repeats: how many consecutive rows of the inputs belong to one image: ``N = B · repeats``.

        Returns:
            ``(B, repeats)`` in float32, or float64 where the layer computes in that.
        """
        inputs = tf.reshape(to_gradient_dtype(self.inputs), [-1, repeats, self.kernel.shape[0]])
        scores = tf.reduce_sum(inputs * to_gradient_dtype(columns_of(self.kernel, classes))[:, tf.newaxis], -1)
        return scores if self.bias is None else scores + to_gradient_dtype(tf.gather(self.bias, tf.maximum(classes, 0)))


def last_layer(logits: tf.Tensor) -> LastLayer | None:
    """Find the dense layer that computes the logits; None where anything else computes them."""
    op, bias = _skip_pass_through(logits).op, None
    if op.type in ("AddV2", "BiasAdd") and op.inputs[1].shape.rank == 1:
        product, bias = op.inputs
        op = product.op
    if op.type != "MatMul" or op.get_attr("transpose_a") or op.get_attr("transpose_b"):
        return None
    inputs, kernel = op.inputs
    fits = None not in kernel.shape and (bias is None or bias.shape == kernel.shape[1:])
    return LastLayer(inputs, kernel, bias) if fits else None


def _skip_pass_through(tensor: tf.Tensor) -> tf.Tensor:
    """Return the tensor that identities and casts between floats were applied to."""
    while tensor.op.type in PASS_THROUGH and tensor.op.inputs[0].dtype.is_floating:
        tensor = tensor.op.inputs[0]
    return tensor
