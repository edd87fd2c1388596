"""The gradient of depthwise convolutions with respect to their input, not to their kernel."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.rules._windows import Window, insert_zeros, pad_for_windows, windows
from visualcnn_tf.gradients.tensors import to_gradient_dtype


def _depthwise(node: Node) -> InputGradients:
    """``dx = depthwise_conv(dy, flipped kernel)``."""
    kernel = to_gradient_dtype(node.op.inputs[1])
    require(not node.needs_gradient[1] and None not in kernel.shape)
    return [depthwise_gradient(node.gradient, kernel, windows(node.op, kernel.shape[:2])), None]


def depthwise_gradient(gradient: tf.Tensor, kernel: tf.Tensor, axes: Sequence[Window]) -> tf.Tensor:
    """Convolve the output gradient with the flipped kernel, and sum over the outputs of each channel.

    Args:
        gradient: of the output.
        kernel: ``(height, width, channels, multiplier)``.
        axes: the windows over rows and columns.
    """
    height, width, channels, multiplier = kernel.shape
    flipped = tf.reshape(tf.reverse(kernel, [0, 1]), [height, width, channels * multiplier, 1])
    gradient, padding = pad_for_windows(*insert_zeros(gradient, axes), axes)
    dilations = [axis.dilation for axis in axes]
    gradient = tf.nn.depthwise_conv2d(gradient, flipped, [1, 1, 1, 1], padding, dilations=dilations)
    if multiplier == 1:
        return gradient
    return tf.reduce_sum(tf.reshape(gradient, [-1, *(axis.size for axis in axes), channels, multiplier]), -1)


RULES: dict[str, Rule] = {"DepthwiseConv2dNative": _depthwise}
