"""Convolutions and transposed convolutions, with respect to what they are applied to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.rules._windows import Window, padded, read_by_windows, spread, windows
from visualcnn_tf.gradients.rules.depthwise import depthwise_gradient
from visualcnn_tf.gradients.tensors import to_gradient_dtype


def _conv(node: Node) -> Any:
    kernel = to_gradient_dtype(node.op.inputs[1])
    *sizes, depth, filters = kernel.shape
    axes = windows(node.op, sizes)
    if node.needs_gradient[1] or axes is None or None in (depth, filters):
        return NotImplemented
    groups = node.op.inputs[0].shape[-1] // depth
    if groups == 1 and len(axes) == 2 and all(axis.kernel == 1 for axis in axes):
        return [_pointwise(node, kernel, axes), None]
    if groups == 1 and all(axis.dilation == 1 for axis in axes):
        return [_transposed(node, kernel, axes), None]
    if len(axes) == 2 and depth == 1:
        return [depthwise_gradient(node.gradient, tf.reshape(kernel, [*sizes, groups, -1]), axes), None]
    if len(axes) == 3 and any(axis.stride > 1 for axis in axes):
        return NotImplemented
    return [_flipped(node, kernel, groups, axes), None]


def _pointwise(node: Node, kernel: Any, axes: Sequence[Window]) -> Any:
    """A product with a matrix: much faster in TensorFlow Lite than a transposed convolution with a stride."""
    _, height, width, filters = node.op.outputs[0].shape
    flat = tf.matmul(tf.reshape(node.gradient, [-1, filters]), tf.reshape(kernel, [-1, filters]), transpose_b=True)
    return padded(*spread(tf.reshape(flat, [-1, height, width, kernel.shape[-2]]), axes))


def _transposed(node: Node, kernel: Any, axes: Sequence[Window]) -> Any:
    """A transposed convolution; TensorFlow Lite's knows no explicit paddings: then of the padded input."""
    padding, sizes = node.attribute("padding"), [axis.size for axis in axes]
    if padding != "EXPLICIT":
        return _transposed_to(node, kernel, sizes, padding)
    # What no window reaches has no gradient, whether it is of the input or of its border.
    reached = [max((axis.places - 1) * axis.stride + axis.reach, axis.before + axis.size) for axis in axes]
    found = _transposed_to(node, kernel, reached, "VALID")
    return found[(slice(None), *(slice(axis.before, axis.before + axis.size) for axis in axes))]


def _transposed_to(node: Node, kernel: Any, sizes: Sequence[int], padding: str) -> Any:
    batch, channels = node.op.outputs[0].shape[0], kernel.shape[-2]
    shape = [tf.shape(node.gradient)[0] if batch is None else batch, *sizes, channels]
    strides = node.attribute("strides")[1:-1]
    return tf.nn.conv_transpose(node.gradient, kernel, tf.stack(shape) if batch is None else shape, strides, padding)


def _flipped(node: Node, kernel: Any, groups: int, axes: Sequence[Window]) -> Any:
    """A convolution with the flipped kernel: TensorFlow Lite's transposed one knows neither dilations nor groups."""
    *sizes, depth, filters = kernel.shape
    places = list(range(len(sizes)))
    flipped = tf.reshape(tf.reverse(kernel, places), [*sizes, depth, groups, filters // groups])
    flipped = tf.transpose(flipped, [*places, len(places) + 2, len(places) + 1, len(places)])
    flipped = tf.reshape(flipped, [*sizes, filters // groups, groups * depth])
    gradient, padding = read_by_windows(*spread(node.gradient, axes), axes)
    return tf.nn.convolution(gradient, flipped, padding=padding, dilations=[axis.dilation for axis in axes])


def _transposed_conv(node: Node) -> Any:
    """The gradient of a transposed convolution is the convolution."""
    if node.needs_gradient[1]:
        return NotImplemented
    padding: Any = node.attribute("padding")
    if padding == "EXPLICIT":
        flat = node.attribute("explicit_paddings")
        padding = [flat[i : i + 2] for i in range(0, len(flat), 2)]
    conv = tf.nn.conv3d if node.op.type == "Conv3DBackpropInputV2" else tf.nn.conv2d
    kernel = to_gradient_dtype(node.op.inputs[1])
    attributes = {name: node.attribute(name) for name in ("strides", "dilations")}
    found = conv(node.gradient, kernel, padding=padding, data_format=node.attribute("data_format"), **attributes)
    return [None, None, found]


RULES: dict[str, Rule] = {
    "Conv2D": _conv,
    "Conv2DBackpropInput": _transposed_conv,
    "Conv3D": _conv,
    "Conv3DBackpropInputV2": _transposed_conv,
}
