"""The gradient of batch normalization, with statistics that are given, or those of the batch itself.

Statistics of the batch also normalize layers: Keras 2 reshapes the axes of a layer normalization to those of a batch.
"""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require


def _fused_batch_norm(node: Node) -> InputGradients:
    """``dx = dy · scale / √(variance + ε)``, or that of :func:`_by_own_statistics`."""
    require(not any(node.needs_gradient[1:]))
    if node.attribute("is_training"):
        return [_by_own_statistics(node), None, None, None, None]
    _, scale, _, _, variance = node.inputs
    factor = _along_channels(node, scale * tf.math.rsqrt(variance + node.attribute("epsilon")))
    return [node.gradient * factor, None, None, None, None]


def _by_own_statistics(node: Node) -> tf.Tensor:
    """``dx = r · (g - mean(g) - z · mean(g · z))`` for ``g = dy · scale`` and ``z = r · (x - mean(x))``.

    ``r = 1 / √(variance + ε)``; mean and variance are those of x over all axes but the channels.
    """
    require(all(gradient is None for gradient in node.gradients[1:]))
    x, scale, *_ = node.inputs
    axes = [axis for axis in range(x.shape.rank) if axis != _channel_axis(node)]
    centered = x - tf.reduce_mean(x, axes, keepdims=True)
    root = tf.math.rsqrt(tf.reduce_mean(centered * centered, axes, keepdims=True) + node.attribute("epsilon"))
    z, gradient = centered * root, node.gradient * _along_channels(node, scale)
    shared = tf.reduce_mean(gradient, axes, keepdims=True) + z * tf.reduce_mean(gradient * z, axes, keepdims=True)
    return root * (gradient - shared)


def _channel_axis(node: Node) -> int:
    return str(node.attribute("data_format")).index("C")


def _along_channels(node: Node, values: tf.Tensor) -> tf.Tensor:
    """Return values ``(C,)`` in a shape that is broadcast to the feature maps."""
    after = node.op.inputs[0].shape.rank - 1 - _channel_axis(node)
    return tf.reshape(values, [-1, *[1] * after]) if after else values


RULES: dict[str, Rule] = dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _fused_batch_norm)
