"""The gradient of gathering by indices along an axis, as adaptive pooling and channel shuffling do."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.rules._products import matmul_last_axis
from visualcnn_tf.gradients.tensors import constant, reshape_like, static_value


def _gather(node: Node) -> InputGradients:
    """``dx[j] = Σ dy[i]`` over all ``i`` with ``indices[i] = j``."""
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
    """Return the axis that is gathered along; batch dimensions and unknown sizes are not covered."""
    shape, axis = node.op.inputs[0].shape, int(constant(node.op.inputs[2]))
    require(not node.attribute("batch_dims") and None not in [*shape[1:], shape[axis]])
    return axis % int(shape.rank)


def _sum_by_index(gradient: tf.Tensor, indices: tf.Tensor, x: tf.Tensor, axis: int) -> tf.Tensor:
    """Sum the gradients of equal indices by a product with a one-hot matrix, which also serves computed indices."""
    axis_last = [*(i for i in range(x.shape.rank) if i != axis), axis]
    one_hot = tf.one_hot(tf.reshape(indices, [-1]), x.shape[axis], dtype=gradient.dtype)
    summed = matmul_last_axis(tf.transpose(gradient, axis_last), one_hot)
    return reshape_like(tf.transpose(summed, np.argsort(axis_last)), x)


RULES: dict[str, Rule] = {"GatherV2": _gather}
