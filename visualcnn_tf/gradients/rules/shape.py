"""Gradients of operations that move or copy values: reshaping, transposing, concatenating, splitting, tiling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.tensors import constant, reshape_like, unbroadcast


def _reshape(node: Node) -> InputGradients:
    """The gradient of Reshape, Squeeze and ExpandDims: ``dy`` in the shape of x."""
    return [reshape_like(node.gradient, node.op.inputs[0])] + [None] * (len(node.needs_gradient) - 1)


def _transpose(node: Node) -> InputGradients:
    """``dy`` transposed by the inverse permutation."""
    return [tf.transpose(node.gradient, np.argsort(constant(node.op.inputs[1]))), None]


def _concat(node: Node) -> InputGradients:
    """``dx_i`` is the slice of ``dy`` that ``x_i`` became; at most one of the sizes may be unknown."""
    *inputs, axis_tensor = node.op.inputs
    axis = int(constant(axis_tensor)) % node.gradient.shape.rank
    sizes = [x.shape[axis] for x in inputs]
    require(None not in sizes or (sizes.count(None) == 1 and 0 not in sizes))
    return [
        _part(node.gradient, axis, sizes, index) if needed else None
        for index, needed in enumerate(node.needs_gradient[:-1])
    ] + [None]


def _part(gradient: tf.Tensor, axis: int, sizes: Sequence[int | None], index: int) -> tf.Tensor:
    """Return the part of a concatenation that is an operand's; behind one of unknown size, count from the end."""
    before, after = sizes[:index], sizes[index + 1 :]
    size = sizes[index]
    if None not in before and size is not None:
        return _slice_along(gradient, axis, _total(before), size)
    start = -_total(sizes[index:]) if None in before else _total(before)
    return gradient[(*[slice(None)] * axis, slice(start, -_total(after) or None))]


def _total(sizes: Sequence[int | None]) -> int:
    return sum(size or 0 for size in sizes)


def _slice_along(tensor: tf.Tensor, axis: int, start: int, size: int) -> tf.Tensor:
    begin, sizes = [0] * tensor.shape.rank, [-1] * tensor.shape.rank
    begin[axis], sizes[axis] = start, size
    return tf.slice(tensor, begin, sizes)


def _pack(node: Node) -> InputGradients:
    """The gradient of ``tf.stack``: ``dy`` unstacked."""
    return list(tf.unstack(node.gradient, len(node.needs_gradient), node.attribute("axis")))


def _unpack(node: Node) -> InputGradients:
    """The gradient of ``tf.unstack``: all ``dy`` stacked."""
    return [tf.stack(_all_gradients(node), node.attribute("axis"))]


def _split(node: Node) -> InputGradients:
    """``dx`` is the concatenation of all ``dy``."""
    axis = int(constant(node.op.inputs[0]))
    return [None, tf.concat(_all_gradients(node), axis)]


def _split_v(node: Node) -> InputGradients:
    """``dx`` is the concatenation of all ``dy``."""
    axis = int(constant(node.op.inputs[2]))
    return [tf.concat(_all_gradients(node), axis), None, None]


def _all_gradients(node: Node) -> list[tf.Tensor]:
    """Return the gradients of all outputs, zeros for those that the score does not depend on."""
    known = next(gradient for gradient in node.gradients if gradient is not None)
    return [
        tf.zeros_like(output, known.dtype) if gradient is None else gradient
        for gradient, output in zip(node.gradients, node.op.outputs, strict=True)
    ]


def _tile(node: Node) -> InputGradients:
    """``dy`` summed over the copies, axis by axis."""
    sizes, counts = node.op.inputs[0].shape.as_list(), _copies(node)
    require(sizes.count(None) <= 1)
    tiled = [None if size is None else size * count for size, count in zip(sizes, counts, strict=True)]
    gradient = node.gradient
    for axis, count in enumerate(counts):
        if count != 1:
            # Reshaped to three axes: XNNPACK refuses some sums over tensors with more.
            shape = [_product(sizes[:axis]), count, _product([sizes[axis], *tiled[axis + 1 :]])]
            gradient = tf.reduce_sum(tf.reshape(gradient, shape), 1)
    return [tf.reshape(gradient, [-1 if size is None else size for size in sizes]), None]


def _copies(node: Node) -> list[int]:
    """Return the number of copies along each axis; numbers that are known at run time only are not covered."""
    x, y = node.op.inputs[0].shape, node.op.outputs[0].shape
    counts = tf.get_static_value(node.op.inputs[1], partial=True)
    counts = [None] * x.rank if counts is None else counts
    # TensorFlow's shape inference sees through more operations than get_static_value.
    counts = [
        after // before if count is None and before and after else count
        for count, before, after in zip(counts, x, y, strict=True)
    ]
    require(None not in counts)
    return counts


def _product(sizes: Sequence[int | None]) -> int:
    """Return the product of sizes, or -1 if one of them is unknown."""
    return -1 if None in sizes else math.prod(size or 0 for size in sizes)


def _broadcast_to(node: Node) -> InputGradients:
    """``dy`` summed over the broadcast axes."""
    return [unbroadcast(node.gradient, node.op.inputs[0], node.op.outputs[0]), None]


def _reverse(node: Node) -> InputGradients:
    """``dy`` reversed."""
    return [tf.reverse(node.gradient, node.op.inputs[1]), None]


def _roll(node: Node) -> InputGradients:
    """``dy`` rolled back."""
    return [tf.roll(node.gradient, -node.op.inputs[1], node.op.inputs[2]), None, None]


def _depth_to_space(node: Node) -> InputGradients:
    """``space_to_depth(dy)``."""
    return [tf.nn.space_to_depth(node.gradient, node.attribute("block_size"), node.attribute("data_format"))]


def _space_to_depth(node: Node) -> InputGradients:
    """``depth_to_space(dy)``."""
    return [tf.nn.depth_to_space(node.gradient, node.attribute("block_size"), node.attribute("data_format"))]


def _batch_to_space(node: Node) -> InputGradients:
    """``space_to_batch(dy)``."""
    _, block, crops = node.op.inputs
    return [tf.space_to_batch(node.gradient, block, crops), None, None]


def _space_to_batch(node: Node) -> InputGradients:
    """``batch_to_space(dy)``."""
    _, block, paddings = node.op.inputs
    return [tf.batch_to_space(node.gradient, block, paddings), None, None]


RULES: dict[str, Rule] = {
    "BatchToSpaceND": _batch_to_space,
    "BroadcastTo": _broadcast_to,
    "ConcatV2": _concat,
    "DepthToSpace": _depth_to_space,
    "ExpandDims": _reshape,
    "Pack": _pack,
    "Reshape": _reshape,
    "ReverseV2": _reverse,
    "Roll": _roll,
    "SpaceToBatchND": _space_to_batch,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "SplitV": _split_v,
    "Squeeze": _reshape,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unpack": _unpack,
}
