"""Numbers that are known when a graph is built, or scalar tensors of that graph where they are not."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

#: A number where it is known, a scalar float32 tensor where it depends on sizes that are not.
Number: TypeAlias = "float | tf.Tensor"


class NotFollowedError(Exception):
    """An operation does with positions what no rule covers."""


def is_number(*values: Any) -> bool:
    """Return whether all values are known."""
    return not any(tf.is_tensor(value) for value in values)


def is_zero(value: Number) -> bool:
    """Return whether a number is known to be zero."""
    return is_number(value) and value == 0


def is_same(one: Number, other: Number) -> bool:
    """Return whether two numbers are known to be equal."""
    return one is other or (is_number(one, other) and abs(one - other) < 1e-9)


def larger(one: Number, other: Number) -> Number:
    """Return the larger number."""
    return max(one, other) if is_number(one, other) else tf.maximum(one, other)


def smaller(one: Number, other: Number) -> Number:
    """Return the smaller number."""
    return min(one, other) if is_number(one, other) else tf.minimum(one, other)


def choose(condition: bool | tf.Tensor, one: Number, other: Number) -> Number:
    """Return ``one`` where the condition holds, else ``other``."""
    if is_same(one, other):
        return one
    if is_number(condition):
        return one if condition else other
    return tf.where(condition, tf.cast(one, tf.float32), tf.cast(other, tf.float32))


def size_of(tensor: tf.Tensor, axis: int) -> Number:
    """Return the size of an axis."""
    known = tensor.shape[axis]
    return float(known) if known is not None else tf.cast(tf.shape(tensor)[axis], tf.float32)


def elements(vector: tf.Tensor) -> list[Number]:
    """Return the numbers of a vector of known length."""
    known = tf.get_static_value(vector, partial=True)
    return [_element(vector, known, (index,)) for index in range(_length(vector))]


def pairs(matrix: tf.Tensor) -> list[tuple[Number, Number]]:
    """Return the rows of a matrix ``(n, 2)`` of known length, such as paddings."""
    known = tf.get_static_value(matrix, partial=True)
    rows = range(_length(matrix))
    return [(_element(matrix, known, (row, 0)), _element(matrix, known, (row, 1))) for row in rows]


def constant(tensor: tf.Tensor) -> Any:
    """Return the value of a tensor that is constant in the graph.

    Raises:
        NotFollowedError: for any other tensor.
    """
    value = tf.get_static_value(tensor)
    if value is not None:
        return value
    # As of ``keras.ops.take``, whose indices may be negative.
    if tensor.op.type == "Less":
        return np.less(*map(constant, tensor.op.inputs))
    if tensor.op.type == "SelectV2":
        condition, one, other = tensor.op.inputs
        if not np.any(constant(condition)):
            return constant(other)
        return np.where(constant(condition), constant(one), constant(other))
    raise NotFollowedError


def _length(tensor: tf.Tensor) -> int:
    if not tensor.shape.rank or tensor.shape[0] is None:
        raise NotFollowedError
    return int(tensor.shape[0])


def _element(tensor: tf.Tensor, known: Any, index: tuple[int, ...]) -> Number:
    value = known
    for position in index:
        value = None if value is None else value[position]
    return tf.cast(tensor[index], tf.float32) if value is None else float(value)
