"""Whether the first number of a shape that a graph computes is a multiple of the size of the batch, and which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from visualcnn_tf.introspect.batch_axis import Found

#: So many rows for each example; an unknown number of them, as -1 may be, which means whatever is left; or no multiple.
Number = int | Literal["unknown"] | None


def first_number(shape: tf.Tensor, found: Found) -> Number:
    """Return how many rows for each example the shape that a reshape asks for has."""
    return _entry(shape, 0, found)


def _entry(vector: tf.Tensor, index: int, found: Found) -> Number:
    """Return how many rows for each example a number in a vector is."""
    value = tf.get_static_value(vector)
    if value is not None:
        return _of_constant(value.reshape(-1)[index]) if index < value.size else None
    rule = _VECTORS.get(vector.op.type)
    return None if rule is None else rule(vector.op, index, found)


def _scalar(number: tf.Tensor, found: Found) -> Number:
    value = tf.get_static_value(number)
    if value is not None:
        return _of_constant(value)
    rule = _SCALARS.get(number.op.type)
    return None if rule is None else rule(number.op, found)


def _of_constant(value: object) -> Number:
    return "unknown" if value == -1 else None


def _same(op: tf.Operation, found: Found) -> Number:
    return _scalar(op.inputs[0], found)


def _product(op: tf.Operation, found: Found) -> Number:
    first = _entry(op.inputs[0], 0, found)
    return None if first is None else "unknown"


def _times(op: tf.Operation, found: Found) -> Number:
    for number, other in (op.inputs, op.inputs[::-1]):
        rows, factor = _scalar(number, found), tf.get_static_value(other)
        if tf.get_static_value(number) is None and rows is not None:
            return "unknown" if factor is None or rows == "unknown" else rows * int(factor)
    return None


def _divided(op: tf.Operation, found: Found) -> Number:
    number, divisor = _scalar(op.inputs[0], found), tf.get_static_value(op.inputs[1])
    is_exact = isinstance(number, int) and divisor is not None and number % int(divisor) == 0
    return number // int(divisor) if is_exact and isinstance(number, int) else None


def _looked_up(op: tf.Operation, found: Found) -> Number:
    index = tf.get_static_value(op.inputs[1])
    is_one = index is not None and index.size == 1 and int(index.reshape(())) >= 0
    return _entry(op.inputs[0], int(index.reshape(())), found) if is_one else None


def _of_shape(op: tf.Operation, index: int, found: Found) -> Number:
    batch = found.get(op.inputs[0].ref())
    if batch is None or batch.axis != index or batch.outer != 1:
        return None
    return batch.inner or "unknown"


def _of_pack(op: tf.Operation, index: int, found: Found) -> Number:
    return _scalar(op.inputs[index], found) if index < len(op.inputs) else None


def _of_concat(op: tf.Operation, index: int, found: Found) -> Number:
    for piece in op.inputs[:-1]:
        size = piece.shape[0]
        if size is None or index < size:
            return _entry(piece, index, found)
        index -= size
    return None


def _of_slice(op: tf.Operation, index: int, found: Found) -> Number:
    begin = tf.get_static_value(op.inputs[1])
    if begin is None or (op.type == "StridedSlice" and op.get_attr("shrink_axis_mask")):
        return None
    starts_at_zero = op.type == "StridedSlice" and op.get_attr("begin_mask")
    return _entry(op.inputs[0], index + (0 if starts_at_zero else int(begin[0])), found)


def _of_gather(op: tf.Operation, index: int, found: Found) -> Number:
    indices = tf.get_static_value(op.inputs[1])
    return None if indices is None else _entry(op.inputs[0], int(indices.reshape(-1)[index]), found)


def _of_same(op: tf.Operation, index: int, found: Found) -> Number:
    inside = op.inputs[0]
    return _scalar(inside, found) if inside.shape.rank == 0 else _entry(inside, index, found)


_VECTORS: dict[str, Callable[[tf.Operation, int, Found], Number]] = {
    "Cast": _of_same,
    "ConcatV2": _of_concat,
    "ExpandDims": _of_same,
    "GatherV2": _of_gather,
    "Identity": _of_same,
    "Pack": _of_pack,
    "Reshape": _of_same,
    "Shape": _of_shape,
    "Slice": _of_slice,
    "StridedSlice": _of_slice,
}
_SCALARS: dict[str, Callable[[tf.Operation, Found], Number]] = {
    "Cast": _same,
    "FloorDiv": _divided,
    "GatherV2": _looked_up,
    "Identity": _same,
    "Mul": _times,
    "Prod": _product,
    "StridedSlice": _looked_up,
}
