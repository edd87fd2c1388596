"""Sums, means, products and extrema over axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.tensors import mask, static_value


def _axes(node: Node) -> list[int] | None:
    """The reduced axes, None where they are known at run time only."""
    axes, rank = static_value(node.op.inputs[1]), node.op.inputs[0].shape.rank
    return None if axes is None else sorted(int(axis) % rank for axis in np.atleast_1d(axes))


def _kept(node: Node, tensor: Any, axes: list[int]) -> Any:
    """What was reduced, with the reduced axes as axes of size 1."""
    if node.attribute("keep_dims"):
        return tensor
    shape = [1 if axis in axes else size for axis, size in enumerate(node.op.inputs[0].shape)]
    if shape.count(None) <= 1:
        return tf.reshape(tensor, [-1 if size is None else size for size in shape])
    for axis in axes:
        tensor = tf.expand_dims(tensor, axis)
    return tensor


def _spread(node: Node, axes: list[int]) -> Any:
    """The gradient, repeated along the reduced axes."""
    x, kept = node.inputs[0], _kept(node, node.gradient, axes)
    if any(x.shape[axis] is None for axis in axes):
        return tf.broadcast_to(kept, tf.shape(x))
    return kept * tf.ones([x.shape[axis] if axis in axes else 1 for axis in range(x.shape.rank)], kept.dtype)


def _sum(node: Node) -> Any:
    axes = _axes(node)
    return NotImplemented if axes is None else [_spread(node, axes), None]


def _mean(node: Node) -> Any:
    axes = _axes(node)
    if axes is None:
        return NotImplemented
    x = node.inputs[0]
    sizes = [x.shape[axis] for axis in axes]
    if None in sizes:
        count = tf.cast(tf.reduce_prod([tf.shape(x)[axis] for axis in axes]), x.dtype)
    else:
        count = float(np.prod(sizes))
    return [_spread(Node(node.op, [node.gradient / count], node.needs_gradient), axes), None]


def _extremum(node: Node) -> Any:
    """Split evenly among equal extrema, as in TensorFlow."""
    axes = _axes(node)
    if axes is None:
        return NotImplemented
    chosen = mask(tf.equal(node.inputs[0], _kept(node, node.output, axes)), node.gradient)
    share = _kept(node, node.gradient, axes) / tf.reduce_sum(chosen, axes, keepdims=True)
    return [share * chosen, None]


def _prod(node: Node) -> Any:
    """The product of the others for each, without a division, which zeros would spoil; one axis of known size."""
    axes, x = _axes(node), node.inputs[0]
    if axes is None or len(axes) != 1 or x.shape[axes[0]] is None:
        return NotImplemented
    (axis,) = axes
    eye = np.eye(x.shape[axis]).reshape([-1, x.shape[axis]] + [1] * (x.shape.rank - axis - 1))
    others = tf.expand_dims(x, axis) * tf.constant(1.0 - eye, x.dtype) + tf.constant(eye, x.dtype)
    return [_kept(node, node.gradient, axes) * tf.reduce_prod(others, axis + 1), None]


RULES: dict[str, Rule] = {
    "L2Loss": lambda node: [node.gradient * node.inputs[0]],
    "Max": _extremum,
    "Mean": _mean,
    "Min": _extremum,
    "Prod": _prod,
    "Sum": _sum,
}
