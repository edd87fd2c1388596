"""Gradients of sums, means, products, maxima and minima over axes, and of cumulative sums."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.tensors import constant, mask


def _axes(node: Node) -> list[int]:
    """Return the reduced axes; those that are known at run time only are not covered."""
    axes, rank = constant(node.op.inputs[1]), node.op.inputs[0].shape.rank
    return sorted(int(axis) % rank for axis in np.atleast_1d(axes))


def _keep_axes(node: Node, tensor: tf.Tensor, axes: list[int]) -> tf.Tensor:
    """Reshape a tensor of the shape of the result so that the reduced axes have size 1."""
    if node.attribute("keep_dims"):
        return tensor
    shape = [1 if axis in axes else size for axis, size in enumerate(node.op.inputs[0].shape)]
    if shape.count(None) <= 1:
        return tf.reshape(tensor, [-1 if size is None else size for size in shape])
    for axis in axes:
        tensor = tf.expand_dims(tensor, axis)
    return tensor


def _repeat(node: Node, gradient: tf.Tensor, axes: list[int]) -> tf.Tensor:
    """Repeat a gradient along the reduced axes."""
    x, kept = node.inputs[0], _keep_axes(node, gradient, axes)
    if any(x.shape[axis] is None for axis in axes):
        return tf.broadcast_to(kept, tf.shape(x))
    return kept * tf.ones([x.shape[axis] if axis in axes else 1 for axis in range(x.shape.rank)], kept.dtype)


def _sum(node: Node) -> InputGradients:
    """``dx = dy``, repeated."""
    return [_repeat(node, node.gradient, _axes(node)), None]


def _mean(node: Node) -> InputGradients:
    """``dx = dy / n``, repeated, for means of ``n`` values."""
    axes, x = _axes(node), node.inputs[0]
    sizes = [x.shape[axis] for axis in axes]
    if None in sizes:
        count = tf.cast(tf.reduce_prod([tf.shape(x)[axis] for axis in axes]), x.dtype)
    else:
        count = float(np.prod(sizes))
    return [_repeat(node, node.gradient / count, axes), None]


def _extremum(node: Node) -> InputGradients:
    """The gradient of Max and Min: ``dx = dy`` where ``x = y``, divided among equal values, as in TensorFlow."""
    axes = _axes(node)
    chosen = mask(tf.equal(node.inputs[0], _keep_axes(node, node.output, axes)), node.gradient)
    share = _keep_axes(node, node.gradient, axes) / tf.reduce_sum(chosen, axes, keepdims=True)
    return [share * chosen, None]


def _prod(node: Node) -> InputGradients:
    """``dx_i = dy · Π_{j≠i} x_j`` over one axis of known size, without a division, which zeros would spoil."""
    axes, x = _axes(node), node.inputs[0]
    require(len(axes) == 1 and x.shape[axes[0]] is not None)
    (axis,) = axes
    eye = np.eye(x.shape[axis]).reshape([-1, x.shape[axis]] + [1] * (x.shape.rank - axis - 1))
    others = tf.expand_dims(x, axis) * tf.constant(1.0 - eye, x.dtype) + tf.constant(eye, x.dtype)
    return [_keep_axes(node, node.gradient, axes) * tf.reduce_prod(others, axis + 1), None]


def _l2_loss(node: Node) -> InputGradients:
    """``dx = dy · x``."""
    return [node.gradient * node.inputs[0]]


def _cumsum(node: Node) -> InputGradients:
    """``dx = cumsum(dy)`` in the other direction."""
    exclusive, reverse = node.attribute("exclusive"), node.attribute("reverse")
    return [tf.cumsum(node.gradient, node.op.inputs[1], exclusive, not reverse), None]


RULES: dict[str, Rule] = {
    "Cumsum": _cumsum,
    "L2Loss": _l2_loss,
    "Max": _extremum,
    "Mean": _mean,
    "Min": _extremum,
    "Prod": _prod,
    "Sum": _sum,
}
