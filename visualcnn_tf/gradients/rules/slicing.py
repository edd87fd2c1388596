"""Gradients of padding, and of operations that take a part of a tensor; strided slices have a file of their own."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.tensors import constant, static_value


def pad_axis(gradient: tf.Tensor, axis: int, before: int, after: int | tf.Tensor) -> tf.Tensor:
    """Pad one axis with zeros, without an operation where there is nothing to pad."""
    if isinstance(after, int) and before == after == 0:
        return gradient
    return tf.pad(gradient, [[before, after] if i == axis else [0, 0] for i in range(gradient.shape.rank)])


def _pad(node: Node) -> InputGradients:
    """``dy`` without the padding."""
    axes = zip(constant(node.op.inputs[1]).tolist(), node.op.inputs[0].shape, strict=True)
    inner = [slice(before, -after or None if size is None else before + size) for (before, after), size in axes]
    return [node.gradient[tuple(inner)]] + [None] * (len(node.needs_gradient) - 1)


def _mirror_pad(node: Node) -> InputGradients:
    """``dy`` without the padding, to which the padding is added, reversed, where it was copied from."""
    paddings, sizes = constant(node.op.inputs[1]).tolist(), node.op.inputs[0].shape
    offset = 1 if node.attribute("mode") == "REFLECT" else 0
    gradient = node.gradient
    for axis, ((before, after), size) in enumerate(zip(paddings, sizes, strict=True)):
        if before or after:
            require(size is not None)
            gradient = _fold_padding(gradient, axis, [before, size, after], offset)
    return [gradient, None]


def _fold_padding(gradient: tf.Tensor, axis: int, parts: list[int], offset: int) -> tf.Tensor:
    """Add the gradients of the padding before and after an axis to those of the values that it mirrors."""
    before, size, after = parts
    left, inner, right = tf.split(gradient, parts, axis)
    if before:
        inner += pad_axis(tf.reverse(left, [axis]), axis, offset, size - offset - before)
    if after:
        inner += pad_axis(tf.reverse(right, [axis]), axis, size - offset - after, offset)
    return inner


def _slice(node: Node) -> InputGradients:
    """``dy``, padded with zeros to the shape of x."""
    x, begin, _ = node.op.inputs
    paddings = _slice_paddings(node)
    if None not in paddings:
        return [tf.pad(node.gradient, paddings), None, None]
    rest = tf.shape(x) - begin - tf.shape(node.gradient)
    return [tf.pad(node.gradient, tf.stack([begin, rest], 1)), None, None]


def _slice_paddings(node: Node) -> list[list[int] | None]:
    """Return how much is left out before and after the slice on each axis, None where unknown."""
    x, begin, length = node.op.inputs
    starts, lengths = static_value(begin), tf.get_static_value(length, partial=True)
    if starts is None:
        return [None] * x.shape.rank
    paddings: list[list[int] | None] = []
    for axis, (before, after) in enumerate(zip(x.shape, node.op.outputs[0].shape, strict=True)):
        start = int(starts[axis])
        if before is not None and after is not None:
            paddings.append([start, before - start - after])
        else:
            is_whole = start == 0 and lengths is not None and lengths[axis] == -1
            paddings.append([0, 0] if is_whole else None)
    return paddings


def _gather_nd(node: Node) -> InputGradients:
    """``dx = scatter_nd(dy)``."""
    x, indices = node.op.inputs
    return [tf.scatter_nd(indices, node.gradient, tf.shape(x, indices.dtype)), None]


def _top_k(node: Node) -> InputGradients:
    """``dx[indices] = dy`` along the last axis, by a one-hot matrix."""
    size = node.op.inputs[0].shape[-1]
    require(size is not None and node.gradient is not None)
    one_hot = tf.one_hot(node.op.outputs[1], size, dtype=node.gradient.dtype)
    return [tf.reduce_sum(node.gradient[..., tf.newaxis] * one_hot, -2), None]


RULES: dict[str, Rule] = {
    "GatherNd": _gather_nd,
    "MirrorPad": _mirror_pad,
    "Pad": _pad,
    "PadV2": _pad,
    "Slice": _slice,
    "TopKV2": _top_k,
}
