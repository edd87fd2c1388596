"""Whether the first number of a shape that a graph computes is the size of the batch, or a multiple of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from visualcnn_tf.introspect.batch_axis import BatchAxis, Found

#: The size of the batch, or a multiple of it, as -1 may be: whatever is left.
Number = Literal["batch", "multiple"] | None


def first_number(shape: tf.Tensor, found: Found) -> Number:
    """Return what the first number of the shape that a reshape asks for is, None if it is neither."""
    return _entry(shape, 0, found)


def _entry(vector: tf.Tensor, index: int, found: Found) -> Number:
    """Return what a number in a vector is."""
    value = tf.get_static_value(vector)
    if value is not None:
        return "multiple" if value.ndim == 1 and index < len(value) and value[index] == -1 else None
    rule = _VECTORS.get(vector.op.type)
    return None if rule is None else rule(vector.op, index, found)


def _scalar(number: tf.Tensor, found: Found) -> Number:
    op = number.op
    value = tf.get_static_value(number)
    if value is not None:
        return "multiple" if value == -1 else None
    if op.type in ("Cast", "Identity"):
        return _scalar(op.inputs[0], found)
    if op.type == "Prod":
        return "multiple" if _entry(op.inputs[0], 0, found) == "batch" else None
    if op.type == "Mul":
        return "multiple" if "batch" in [_scalar(factor, found) for factor in op.inputs] else None
    if op.type in ("StridedSlice", "GatherV2"):
        index = tf.get_static_value(op.inputs[1])
        if index is not None and index.size == 1 and int(index.reshape(())) >= 0:
            return _entry(op.inputs[0], int(index.reshape(())), found)
    return None


def _of_shape(op: tf.Operation, index: int, found: Found) -> Number:
    return "batch" if found.get(op.inputs[0].ref()) == BatchAxis(index) else None


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
