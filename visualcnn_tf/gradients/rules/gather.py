"""Picking values by their indices along an axis, as adaptive poolings and shuffles do."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.rules._products import matmul_last_axis
from visualcnn_tf.gradients.tensors import reshape_like, static_value


def _gather(node: Node) -> Any:
    """Each value has the sum over where it went to: a product with zeros and ones.

    The indices may be computed in the graph, as those of adaptive poolings are.
    """
    x, indices, axis = node.op.inputs[0], node.op.inputs[1], static_value(node.op.inputs[2])
    shape, count = x.shape, indices.shape.num_elements()
    if axis is None or count is None or node.attribute("batch_dims") or None in [*shape[1:], shape[int(axis)]]:
        return NotImplemented
    place = int(axis) % shape.rank
    sizes = [-1 if size is None else size for size in shape]
    along = tf.reshape(node.gradient, [*sizes[:place], count, *sizes[place + 1 :]])
    order = static_value(indices)
    if order is not None and np.array_equal(np.sort(order, axis=None), np.arange(shape[place])):
        return [tf.gather(along, np.argsort(order, axis=None), axis=place), None, None]
    last = [*(i for i in range(shape.rank) if i != place), place]
    weights = tf.one_hot(tf.reshape(indices, [-1]), shape[place], dtype=along.dtype)
    summed = matmul_last_axis(tf.transpose(along, last), weights)
    return [reshape_like(tf.transpose(summed, np.argsort(last)), x), None, None]


RULES: dict[str, Rule] = {"GatherV2": _gather}
