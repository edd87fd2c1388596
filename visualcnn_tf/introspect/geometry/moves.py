"""Rules of operations that move axes, or drop them: transposing, reshaping, stacking, reducing."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.geometry.axes import Axes, Axis
from visualcnn_tf.introspect.geometry.join import broadcast
from visualcnn_tf.introspect.geometry.node import Node, Rule
from visualcnn_tf.introspect.geometry.numbers import NotFollowedError, constant
from visualcnn_tf.introspect.geometry.reshape import reshaped


def _transpose(node: Node) -> Axes:
    return tuple(node.data[int(axis)] for axis in constant(node.op.inputs[1]))


def _reshape(node: Node) -> Axes:
    return reshaped(node.data, node.shape(), _shape_of_rows(node.op.outputs[0]), node.name)


def _shape_of_rows(tensor: tf.Tensor) -> Shape:
    """Return a shape, with the number of columns that a product with weights needs where nothing else tells it."""
    if tensor.shape.rank is None:
        raise NotFollowedError
    shape = tuple(tensor.shape)
    for reader in tensor.consumers() if shape == (None, None) else ():
        if reader.type == "MatMul" and reader.inputs[0] is tensor and not reader.get_attr("transpose_a"):
            shape = (None, reader.inputs[1].shape[1 if reader.get_attr("transpose_b") else 0])
    return shape


def _expand_dims(node: Node) -> Axes:
    index = int(constant(node.op.inputs[1])) % (len(node.data) + 1)
    return (*node.data[:index], Axis(), *node.data[index:])


def _squeeze(node: Node) -> Axes:
    dropped = {axis % len(node.data) for axis in node.attribute("squeeze_dims")}
    dropped = dropped or {axis for axis, size in enumerate(node.shape()) if size == 1}
    return tuple(axis for index, axis in enumerate(node.data) if index not in dropped)


def _reduce(node: Node) -> Axes:
    """Axes that are reduced show no positions any more."""
    reduced = {int(axis) % len(node.data) for axis in np.ravel(constant(node.op.inputs[1]))}
    kept = [Axis() if index in reduced else axis for index, axis in enumerate(node.data)]
    if _keeps_axes(node):
        return tuple(kept)
    return tuple(axis for index, axis in enumerate(kept) if index not in reduced)


def _keeps_axes(node: Node) -> bool:
    return node.op.type not in ("ArgMax", "ArgMin") and bool(node.attribute("keep_dims"))


def _pack(node: Node) -> Axes:
    """A new axis of several tensors, which show what they have in common."""
    rank = len(node.result_shape)
    index = node.attribute("axis") % rank
    shape = (*node.result_shape[:index], *node.result_shape[index + 1 :])
    parts = [(axes, shape) for axes in node.axes if axes is not None]
    axes = broadcast(parts, shape, node.name)
    return (*axes[:index], Axis(), *axes[index:])


def _unpack(node: Node) -> Axes:
    index = node.attribute("axis") % len(node.data)
    return (*node.data[:index], *node.data[index + 1 :])


def _one_hot(node: Node) -> Axes:
    index = node.attribute("axis") % (len(node.data) + 1)
    return (*node.data[:index], Axis(), *node.data[index:])


def _tile(node: Node) -> Axes:
    """An axis of copies of positions has each of them several times."""
    sizes = zip(node.data, node.shape(), node.result_shape, strict=True)
    return tuple(axis if before == after else axis.moved(node.name) for axis, before, after in sizes)


def _moved(node: Node) -> Axes:
    """Pixels that are read at coordinates: the same axes, of which no position is known."""
    if len(node.data) != len(node.result_shape):
        raise NotFollowedError
    return tuple(axis.moved(node.name) for axis in node.data)


def _scale_and_translate(node: Node) -> Axes:
    """Resizing, unless it also moves the pixels."""
    if np.any(constant(node.op.inputs[3])):
        return _moved(node)
    return tuple(
        axis.settled(size, node.name).resampled(after, node.name) if axis.has_spans and size else axis
        for axis, size, after in zip(node.data, node.shape(), node.result_shape, strict=True)
    )


RULES: dict[str, Rule] = {
    **dict.fromkeys(("All", "Any", "ArgMax", "ArgMin", "Max", "Mean", "Min", "Prod", "Sum"), _reduce),
    **dict.fromkeys(("CropAndResize", "ImageProjectiveTransformV2", "ImageProjectiveTransformV3"), _moved),
    "ExpandDims": _expand_dims,
    "OneHot": _one_hot,
    "Pack": _pack,
    "Reshape": _reshape,
    "ScaleAndTranslate": _scale_and_translate,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unpack": _unpack,
}
