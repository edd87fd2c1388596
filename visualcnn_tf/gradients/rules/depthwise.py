"""Depthwise convolutions, with respect to what they are applied to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.rules._windows import Window, read_by_windows, spread, windows
from visualcnn_tf.gradients.tensors import to_gradient_dtype


def _depthwise(node: Node) -> Any:
    kernel = to_gradient_dtype(node.op.inputs[1])
    axes = windows(node.op, kernel.shape[:2])
    if node.needs_gradient[1] or axes is None or None in kernel.shape:
        return NotImplemented
    return [depthwise_gradient(node.gradient, kernel, axes), None]


def depthwise_gradient(gradient: Any, kernel: Any, axes: Sequence[Window]) -> Any:
    """That of the input of a convolution with a kernel ``(height, width, channels, multiplier)``."""
    height, width, channels, multiplier = kernel.shape
    flipped = tf.reshape(tf.reverse(kernel, [0, 1]), [height, width, channels * multiplier, 1])
    gradient, padding = read_by_windows(*spread(gradient, axes), axes)
    dilations = [axis.dilation for axis in axes]
    found = tf.nn.depthwise_conv2d(gradient, flipped, [1, 1, 1, 1], padding, dilations=dilations)
    if multiplier == 1:
        return found
    apart = tf.reshape(found, [-1, *(axis.size for axis in axes), channels, multiplier])
    return tf.reduce_sum(apart, -1)


RULES: dict[str, Rule] = {"DepthwiseConv2dNative": _depthwise}
