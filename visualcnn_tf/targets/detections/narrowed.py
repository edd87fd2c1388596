"""Some columns of rows, computed from what these columns are made of alone."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.gradients.inline import inline_call
from visualcnn_tf.gradients.tensors import PASS_THROUGH, static_value
from visualcnn_tf.targets.detections.selections import ARRANGING, sizes

#: Operations that select rows and leave the columns as they are, where both have the same number of axes.
_OF_ROWS = ("GatherV2", "Slice", "StridedSlice")


def narrowed(tensor: tf.Tensor, axis: int, start: int, stop: int) -> tf.Tensor:
    """Return ``tensor[..., start:stop]`` along an axis, without a path to the other columns that are joined to them.

    The operations between the place where columns are joined and the tensor are applied to these columns alone.
    """
    op = tensor.op
    inner = inline_call(op)
    if inner is not None:
        return narrowed(inner[1][tensor.value_index], axis, start, stop)
    if joins(op, axis):
        return _of_joined(op, axis, start, stop)
    if op.type == "ConcatV2" and static_value(op.inputs[-1]) is not None:  # levels below each other
        parts = [narrowed(x, axis, start, stop) for x in op.inputs[:-1]]
        return tf.concat(parts, int(static_value(op.inputs[-1])))  # type: ignore[arg-type]
    before = axis_before(op, axis)
    if before is None:
        return _sliced(tensor, axis, start, stop)
    return _again(tensor, axis, narrowed(op.inputs[0], before, start, stop))


def joins(op: tf.Operation, axis: int) -> bool:
    """Return whether an operation joins columns of known numbers along an axis."""
    rank = op.outputs[0].shape.rank if op.outputs else None
    if rank is None:
        return False
    if op.type == "Pack":
        return bool(op.get_attr("axis") % rank == axis)
    along = static_value(op.inputs[-1]) if op.type == "ConcatV2" else None
    return along is not None and int(along) % rank == axis and all(x.shape[axis] for x in op.inputs[:-1])


def joined(op: tf.Operation, axis: int) -> list[tuple[tf.Tensor, int]]:
    """Return what an operation joins along an axis, each with its number of columns."""
    if op.type == "Pack":
        return [(tf.expand_dims(x, axis), 1) for x in op.inputs]
    return [(x, int(x.shape[axis])) for x in op.inputs[:-1]]


def axis_before(op: tf.Operation, axis: int) -> int | None:
    """Return the axis of the same columns in the input of an operation; None for one that computes values."""
    if op.type in PASS_THROUGH:
        return axis
    if op.type == "Transpose":
        order = static_value(op.inputs[1])
        return None if order is None else int(order[axis])
    if op.type not in ("Reshape", *_OF_ROWS) or op.inputs[0].shape.rank is None:
        return None
    x, output = op.inputs[0].shape, op.outputs[0].shape
    if op.type != "Reshape" and x.rank != output.rank:
        return None
    before = x.rank - 1 if axis == output.rank - 1 else axis
    return before if before < x.rank and x[before] == output[axis] else None


def _of_joined(op: tf.Operation, axis: int, start: int, stop: int) -> tf.Tensor:
    """Return some of the columns that an operation joins."""
    found, first = [], 0
    for x, size in joined(op, axis):
        inside = max(start - first, 0), min(stop - first, size)
        if inside[0] < inside[1]:
            found.append(narrowed(x, axis, *inside))
        first += size
    return found[0] if len(found) == 1 else tf.concat(found, axis)


def _again(tensor: tf.Tensor, axis: int, columns: tf.Tensor) -> tf.Tensor:
    """Return what the operation of a tensor makes of some of its columns."""
    op = tensor.op
    if op.type in PASS_THROUGH:
        return tf.cast(columns, tensor.dtype)
    if op.type == "Reshape":
        count = columns.shape[op.inputs[0].shape.rank - 1 if axis == tensor.shape.rank - 1 else axis]
        shape = [count if i == axis else -1 if i == 0 else size for i, size in enumerate(sizes(tensor))]
        return tf.reshape(columns, shape)
    return ARRANGING[op.type](op, columns)


def _sliced(tensor: tf.Tensor, axis: int, start: int, stop: int) -> tf.Tensor:
    if (start, stop) == (0, tensor.shape[axis]):
        return tensor
    return tensor[(slice(None),) * axis + (slice(start, stop),)]
