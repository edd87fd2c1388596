"""Gradients of convolutions and transposed convolutions with respect to their input, not to their kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.rules._windows import Window, insert_zeros, pad, pad_for_windows, windows
from visualcnn_tf.gradients.rules.depthwise import depthwise_gradient
from visualcnn_tf.gradients.tensors import to_gradient_dtype


@dataclass(frozen=True, eq=False)
class _Conv:
    """A convolution that is to be differentiated.

    Attributes:
        node: the operation and its output gradient.
        kernel: ``(*sizes, depth, filters)``, where depth is the number of input channels of a group.
        groups: number of groups.
        axes: the window of each spatial axis.
    """

    node: Node
    kernel: tf.Tensor
    groups: int
    axes: Sequence[Window]

    @property
    def is_2d(self) -> bool:
        return len(self.axes) == 2

    @property
    def is_pointwise(self) -> bool:
        return self.is_2d and self.groups == 1 and all(axis.kernel == 1 for axis in self.axes)

    @property
    def is_plain(self) -> bool:
        return self.groups == 1 and all(axis.dilation == 1 for axis in self.axes)

    @property
    def is_depthwise(self) -> bool:
        return self.is_2d and self.kernel.shape[-2] == 1


def _conv(node: Node) -> InputGradients:
    """``dx = conv_transpose(dy, kernel)``, computed in the first of the ways in :data:`_LOWERINGS` that fits."""
    kernel = to_gradient_dtype(node.op.inputs[1])
    *sizes, depth, filters = kernel.shape
    require(not node.needs_gradient[1] and None not in (depth, filters))
    axes = windows(node.op, sizes)
    conv = _Conv(node, kernel, node.op.inputs[0].shape[-1] // depth, axes)
    differentiate = next(lowering for fits, lowering in _LOWERINGS if fits(conv))
    return [differentiate(conv), None]


def _by_matmul(conv: _Conv) -> tf.Tensor:
    """Multiply by the kernel as a matrix: in TensorFlow Lite much faster than a transposed convolution with strides."""
    _, height, width, filters = conv.node.op.outputs[0].shape
    gradient = tf.reshape(conv.node.gradient, [-1, filters])
    flat = tf.matmul(gradient, tf.reshape(conv.kernel, [-1, filters]), transpose_b=True)
    return pad(*insert_zeros(tf.reshape(flat, [-1, height, width, conv.kernel.shape[-2]]), conv.axes))


def _by_transposed_conv(conv: _Conv) -> tf.Tensor:
    """Apply a transposed convolution; TensorFlow Lite has none with explicit padding, so cut that off the result."""
    padding, axes = conv.node.attribute("padding"), conv.axes
    if padding != "EXPLICIT":
        return _transposed_conv_to(conv, [axis.size for axis in axes], padding)
    # What no window reads has no gradient, be it of the input or of its padding.
    padded = [max((axis.positions - 1) * axis.stride + axis.extent, axis.before + axis.size) for axis in axes]
    gradient = _transposed_conv_to(conv, padded, "VALID")
    return gradient[(slice(None), *(slice(axis.before, axis.before + axis.size) for axis in axes))]


def _transposed_conv_to(conv: _Conv, sizes: Sequence[int], padding: str) -> tf.Tensor:
    gradient, strides = conv.node.gradient, conv.node.attribute("strides")[1:-1]
    batch, channels = conv.node.op.outputs[0].shape[0], conv.kernel.shape[-2]
    shape = [tf.shape(gradient)[0] if batch is None else batch, *sizes, channels]
    return tf.nn.conv_transpose(gradient, conv.kernel, tf.stack(shape) if batch is None else shape, strides, padding)


def _by_depthwise_conv(conv: _Conv) -> tf.Tensor:
    """Apply a depthwise convolution, for groups of one channel."""
    kernel = tf.reshape(conv.kernel, [*conv.kernel.shape[:-2], conv.groups, -1])
    return depthwise_gradient(conv.node.gradient, kernel, conv.axes)


def _by_flipped_conv(conv: _Conv) -> tf.Tensor:
    """Convolve with the flipped kernel: TensorFlow Lite's transposed convolution has neither dilations nor groups."""
    require(conv.is_2d or all(axis.stride == 1 for axis in conv.axes))
    *sizes, depth, filters = conv.kernel.shape
    groups, spatial = conv.groups, list(range(len(sizes)))
    flipped = tf.reshape(tf.reverse(conv.kernel, spatial), [*sizes, depth, groups, filters // groups])
    flipped = tf.transpose(flipped, [*spatial, len(sizes) + 2, len(sizes) + 1, len(sizes)])
    flipped = tf.reshape(flipped, [*sizes, filters // groups, groups * depth])
    gradient, padding = pad_for_windows(*insert_zeros(conv.node.gradient, conv.axes), conv.axes)
    return tf.nn.convolution(gradient, flipped, padding=padding, dilations=[axis.dilation for axis in conv.axes])


#: How a convolution is differentiated: the first way whose condition it fulfills.
_LOWERINGS: tuple[tuple[Callable[[_Conv], bool], Callable[[_Conv], tf.Tensor]], ...] = (
    (lambda conv: conv.is_pointwise, _by_matmul),
    (lambda conv: conv.is_plain, _by_transposed_conv),
    (lambda conv: conv.is_depthwise, _by_depthwise_conv),
    (lambda conv: True, _by_flipped_conv),
)


def _transposed_conv(node: Node) -> InputGradients:
    """``dx = conv(dy, kernel)``: the gradient of a transposed convolution is the convolution."""
    require(not node.needs_gradient[1])
    padding: Any = node.attribute("padding")
    if padding == "EXPLICIT":
        flat = node.attribute("explicit_paddings")
        padding = [flat[i : i + 2] for i in range(0, len(flat), 2)]
    convolve = tf.nn.conv3d if node.op.type == "Conv3DBackpropInputV2" else tf.nn.conv2d
    kernel = to_gradient_dtype(node.op.inputs[1])
    options = {name: node.attribute(name) for name in ("strides", "dilations", "data_format")}
    return [None, None, convolve(node.gradient, kernel, padding=padding, **options)]


RULES: dict[str, Rule] = {
    "Conv2D": _conv,
    "Conv2DBackpropInput": _transposed_conv,
    "Conv3D": _conv,
    "Conv3DBackpropInputV2": _transposed_conv,
}
