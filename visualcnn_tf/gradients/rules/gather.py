"""The gradient of gathering by indices along an axis: in adaptive pooling, channel shuffling, and of chosen tokens."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.rules._products import matmul_last_axis
from visualcnn_tf.gradients.tensors import constant, reshape_like, static_value


def _gather(node: Node) -> InputGradients:
    """``dx[j] = Σ dy[i]`` over all ``i`` with ``indices[i] = j``."""
    if node.attribute("batch_dims"):
        return [_scattered(node), None, None]
    x, indices, _ = node.op.inputs
    axis, count = _gathered_axis(node), indices.shape.num_elements()
    require(count is not None)
    sizes = [-1 if size is None else size for size in x.shape]
    gradient = tf.reshape(node.gradient, [*sizes[:axis], count, *sizes[axis + 1 :]])
    known = static_value(indices)
    if known is not None and np.array_equal(np.sort(known, axis=None), np.arange(sizes[axis])):
        return [tf.gather(gradient, np.argsort(known, axis=None), axis=axis), None, None]
    return [_sum_by_index(gradient, indices, x, axis), None, None]


def _gathered_axis(node: Node) -> int:
    """Return the axis that is gathered along; unknown sizes are not covered."""
    shape, axis = node.op.inputs[0].shape, int(constant(node.op.inputs[2]))
    require(None not in [*shape[1:], shape[axis]])
    return axis % int(shape.rank)


def _scattered(node: Node) -> tf.Tensor:
    """``dx[b, j] = Σ dy[b, i]`` over all ``i`` with ``indices[b, i] = j``: each example has indices of its own.

    They index the first axis of all examples in a row, the only one along which TensorFlow Lite can scatter.
    """
    x, indices, axis = node.op.inputs
    rows = node.attribute("batch_dims") % (indices.shape.rank + 1)  # counts from the end of the indices if negative
    size, *inner = x.shape[rows:]
    count = indices.shape[rows:].num_elements()
    require(int(constant(axis)) % x.shape.rank == rows and None not in (size, *inner, count))
    by_row = tf.cast(tf.reshape(indices, [-1, count]), tf.int32)
    starts = tf.range(tf.shape(by_row)[0])[:, tf.newaxis] * size
    values = math.prod(inner)
    gradient = tf.reshape(node.gradient, [-1, values])
    shape = [tf.shape(by_row)[0] * size, values]
    return reshape_like(tf.scatter_nd(tf.reshape(by_row + starts, [-1, 1]), gradient, shape), x)


def _sum_by_index(gradient: tf.Tensor, indices: tf.Tensor, x: tf.Tensor, axis: int) -> tf.Tensor:
    """Sum the gradients of equal indices by a product with a one-hot matrix, which also serves computed indices."""
    axis_last = [*(i for i in range(x.shape.rank) if i != axis), axis]
    one_hot = tf.one_hot(tf.reshape(indices, [-1]), x.shape[axis], dtype=gradient.dtype)
    summed = matmul_last_axis(tf.transpose(gradient, axis_last), one_hot)
    return reshape_like(tf.transpose(summed, np.argsort(axis_last)), x)


RULES: dict[str, Rule] = {"GatherV2": _gather}
