"""Helpers for the tensors of a backward pass: their dtype, static values and shapes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.not_covered import NotCoveredError

#: Operations that return their input unchanged, or in another dtype.
PASS_THROUGH = ("Identity", "Snapshot", "EnsureShape", "Cast", "CheckNumerics", "PlaceholderWithDefault")

#: Operations whose output has the sizes of their first input.
_SIZE_KEEPING = (
    *PASS_THROUGH,
    *("BiasAdd", "Elu", "Erf", "Exp", "FusedBatchNormV3", "LeakyRelu", "Log", "Neg", "Relu", "Relu6", "Rsqrt", "Selu"),
    *("Sigmoid", "Softmax", "Softplus", "Sqrt", "Square", "Tanh"),
)


def gradient_dtype(dtype: tf.DType) -> tf.DType:
    """Return the dtype of the gradient of a tensor: float32 for half precision, which would lose small gradients."""
    return tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype


def to_gradient_dtype(tensor: tf.Tensor) -> tf.Tensor:
    """Cast a tensor of the forward pass to the dtype of its gradient."""
    return tf.cast(tensor, gradient_dtype(tensor.dtype)) if tensor.dtype.is_floating else tensor


def static_value(tensor: tf.Tensor) -> np.ndarray | None:
    """Return the value of a tensor that is constant in the graph, else None."""
    value: np.ndarray | None = tf.get_static_value(tensor)
    return value


def constant(tensor: tf.Tensor) -> np.ndarray:
    """Return the value of a tensor that is constant in the graph; raise ``NotCoveredError`` for any other."""
    value = static_value(tensor)
    if value is None:
        raise NotCoveredError
    return value


def mask(condition: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
    """Return a condition as zeros and ones, in the dtype of a gradient."""
    return tf.cast(condition, gradient.dtype)


def reshape_like(gradient: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """Reshape a gradient to the shape of a tensor, which is a constant where at most one of its sizes is unknown."""
    if tensor.shape.as_list().count(None) > 1:
        return tf.reshape(gradient, tf.shape(tensor))
    return tf.reshape(gradient, [-1 if size is None else size for size in tensor.shape])


def unbroadcast(
    gradient: tf.Tensor, operand: tf.Tensor, result: tf.Tensor, others: Sequence[tf.Tensor] | None = None
) -> tf.Tensor:
    """Sum the gradient of ``result`` over the axes along which ``operand`` was broadcast to it.

    Args:
        gradient: with respect to ``result``.
        operand: what may have been broadcast.
        result: what it was broadcast to. Its first axis, if the operand has it, is the batch, which never is.
        others: the other operands; None where they can't tell whether an unknown size was broadcast.
    """
    new_axes = result.shape.rank - operand.shape.rank
    sizes = list(zip(operand.shape, result.shape[new_axes:], strict=True))
    if new_axes:
        gradient = tf.reduce_sum(gradient, list(range(new_axes)))
    for axis, (before, after) in enumerate(sizes):
        is_open = after is None and axis + new_axes > 0 and _may_be_larger(others, operand, axis)
        if before is None and (is_open or after not in (None, 1)):
            gradient = _sum_if_broadcast(gradient, operand, axis)
    axes = [axis for axis, (before, after) in enumerate(sizes) if before == 1 and after != 1]
    return tf.reduce_sum(gradient, axes, keepdims=True) if axes else gradient


def _may_be_larger(others: Sequence[tf.Tensor] | None, operand: tf.Tensor, axis: int) -> bool:
    """Return whether one of several tensors of unknown size may be larger than an operand along an axis."""
    if others is None:
        return True
    from_the_right = axis - operand.shape.rank
    open_ones = [one for one in others if one.shape.rank >= -from_the_right and one.shape[from_the_right] is None]
    return any(_source(one) is not _source(operand) for one in open_ones)


def _source(tensor: tf.Tensor) -> tf.Tensor:
    """Return the tensor that one of the same sizes was computed from, number by number."""
    while tensor.op.type in _SIZE_KEEPING:
        tensor = tensor.op.inputs[0]
    return tensor


def _sum_if_broadcast(gradient: tf.Tensor, operand: tf.Tensor, axis: int) -> tf.Tensor:
    """Sum a gradient over an axis of which it is known at run time only whether the operand has 1 there, or as many."""
    sizes, size = tf.shape(gradient), tf.shape(operand)[axis]
    # Copies along one axis, values along the next: one copy of all values, or as many copies of one.
    split = tf.stack([sizes[axis] // size, size])
    copies = tf.reshape(gradient, tf.concat([sizes[:axis], split, sizes[axis + 1 :]], 0))
    summed = tf.reduce_sum(copies, axis)
    summed.set_shape([*gradient.shape[:axis], operand.shape[axis], *gradient.shape[axis + 1 :]])
    return summed
