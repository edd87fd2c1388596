"""Operations that move values to other places, each to one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.tensors import reshape_like, static_value, unbroadcast


def _reshape(node: Node) -> list[Any]:
    return [reshape_like(node.gradient, node.op.inputs[0])] + [None] * (len(node.needs_gradient) - 1)


def _transpose(node: Node) -> Any:
    order = static_value(node.op.inputs[1])
    return NotImplemented if order is None else [tf.transpose(node.gradient, np.argsort(order)), None]


def _concat(node: Node) -> Any:
    axis = static_value(node.op.inputs[-1])
    sizes = [] if axis is None else [x.shape[int(axis)] for x in node.op.inputs[:-1]]
    if axis is None or None in sizes:
        return NotImplemented
    rank = node.gradient.shape.rank
    found: list[Any] = []
    for start, size, wanted in zip(np.cumsum([0, *sizes[:-1]]), sizes, node.needs_gradient, strict=False):
        begin, length = [0] * rank, [-1] * rank
        begin[int(axis)], length[int(axis)] = int(start), size
        found.append(tf.slice(node.gradient, begin, length) if wanted else None)
    return [*found, None]


def _pack(node: Node) -> list[Any]:
    return list(tf.unstack(node.gradient, len(node.needs_gradient), node.attribute("axis")))


def _unpack(node: Node) -> list[Any]:
    return [tf.stack(_all_gradients(node), node.attribute("axis"))]


def _split(node: Node) -> Any:
    axis = static_value(node.op.inputs[0])
    return NotImplemented if axis is None else [None, tf.concat(_all_gradients(node), int(axis))]


def _split_v(node: Node) -> Any:
    axis = static_value(node.op.inputs[2])
    return NotImplemented if axis is None else [tf.concat(_all_gradients(node), int(axis)), None, None]


def _all_gradients(node: Node) -> list[Any]:
    """Those of outputs that the score does not depend on are zero."""
    known = next(gradient for gradient in node.gradients if gradient is not None)
    return [
        tf.zeros_like(output, known.dtype) if gradient is None else gradient
        for gradient, output in zip(node.gradients, node.op.outputs, strict=True)
    ]


def _tile(node: Node) -> Any:
    counts, sizes = _copies(node), node.op.inputs[0].shape.as_list()
    if None in counts or sizes.count(None) > 1:
        return NotImplemented
    gradient = node.gradient
    shape = [None if size is None else size * count for size, count in zip(sizes, counts, strict=True)]
    for axis, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        if count != 1:
            # Never more than three axes: XNNPACK refuses some sums over more.
            before, after = _number(shape[:axis]), _number([size, *shape[axis + 1 :]])
            gradient = tf.reduce_sum(tf.reshape(gradient, [before, count, after]), 1)
        shape[axis] = size
    return [tf.reshape(gradient, [-1 if size is None else size for size in sizes]), None]


def _copies(node: Node) -> list[int | None]:
    """Along each axis; None where the number is known at run time only."""
    x, result = node.op.inputs[0].shape, node.op.outputs[0].shape
    counts = tf.get_static_value(node.op.inputs[1], partial=True)
    counts = [None] * x.rank if counts is None else counts
    # TensorFlow's inference of shapes sees through more operations than the above.
    return [
        after // before if count is None and before and after else count
        for count, before, after in zip(counts, x, result, strict=True)
    ]


def _number(sizes: list[int | None]) -> int:
    """Of all values, -1 where one of the sizes is not known."""
    return -1 if None in sizes else math.prod(size or 0 for size in sizes)


def _broadcast_to(node: Node) -> list[Any]:
    return [unbroadcast(node.gradient, node.op.inputs[0], node.op.outputs[0]), None]


def _reverse(node: Node) -> list[Any]:
    return [tf.reverse(node.gradient, node.op.inputs[1]), None]


def _roll(node: Node) -> list[Any]:
    return [tf.roll(node.gradient, -node.op.inputs[1], node.op.inputs[2]), None, None]


def _depth_to_space(node: Node) -> list[Any]:
    return [tf.nn.space_to_depth(node.gradient, node.attribute("block_size"), node.attribute("data_format"))]


def _space_to_depth(node: Node) -> list[Any]:
    return [tf.nn.depth_to_space(node.gradient, node.attribute("block_size"), node.attribute("data_format"))]


def _batch_to_space(node: Node) -> list[Any]:
    _, block, crops = node.op.inputs
    return [tf.space_to_batch(node.gradient, block, crops), None, None]


def _space_to_batch(node: Node) -> list[Any]:
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
