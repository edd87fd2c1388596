"""The dense layer that logits come from: of one class it is a single column, which is cheap when a head runs often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from visualcnn_tf.gradients.node import TRANSPARENT, value
from visualcnn_tf.gradients.rules.linear import columns_of


@dataclass(frozen=True, eq=False)
class LastLayer:
    """What a dense layer without its activation is made of.

    Attributes:
        read: what it reads, ``(N, n)``.
        matrix: its weights, ``(n, K)``.
        bias: ``(K,)``, or None.
    """

    read: Any
    matrix: Any
    bias: Any

    def scores(self, classes: Any, repeats: int) -> Any:
        """The logits ``(B, repeats)`` of one class ``(B, 1)`` of each image, which stands ``repeats`` times in a row.

        Float32, or float64 where the layer computes in that.
        """
        read = tf.reshape(value(self.read), [-1, repeats, self.matrix.shape[0]])
        scores = tf.reduce_sum(read * value(columns_of(self.matrix, classes))[:, tf.newaxis], -1)
        return scores if self.bias is None else scores + value(tf.gather(self.bias, tf.maximum(classes, 0)))


def last_layer(logits: Any) -> LastLayer | None:
    """The layer, found in the graph; None where the logits come from anything else."""
    operation, bias = logits.op, None
    while operation.type in TRANSPARENT and operation.inputs[0].dtype.is_floating:
        operation = operation.inputs[0].op
    if operation.type in ("AddV2", "BiasAdd") and operation.inputs[1].shape.rank == 1:
        product, bias = operation.inputs
        operation = product.op
    if operation.type != "MatMul" or operation.get_attr("transpose_a") or operation.get_attr("transpose_b"):
        return None
    read, matrix = operation.inputs
    fits = None not in matrix.shape and (bias is None or bias.shape == matrix.shape[1:])
    return LastLayer(read, matrix, bias) if fits else None
