"""Where the classes are in an output with scores at each position, found in the operations that compute it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.inline import inline_call

#: Operations that make images larger or smaller, channels last.
RESIZING = ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea", "ScaleAndTranslate")

# What `tf.nn.softmax` computes the order of axes with, and TensorFlow does not take for constant.
_FOLDED: dict[str, Callable[..., np.ndarray]] = {
    "AddV2": np.add,
    "ConcatV2": lambda *parts: np.concatenate(parts[:-1], parts[-1]),
    "Pack": lambda *parts: np.stack(parts),
    "Range": np.arange,
    "Sub": np.subtract,
}


def moved_axis(axis: int, steps: Sequence[tf.Operation]) -> int | None:
    """Return where an axis is after operations that select and rearrange values; None where it can't be followed.

    Args:
        axis: of what the first of them reads.
        steps: the operations, in order.
    """
    for op in steps:
        found = _moved_by(op, axis)
        if found is None:
            return None
        axis = found
    return axis


def _moved_by(op: tf.Operation, axis: int) -> int | None:
    before, after = op.inputs[0].shape, op.outputs[0].shape
    if before.rank is None or after.rank is None:
        return None
    if op.type == "Transpose":
        order = _order(op)
        return None if order is None else order.index(axis)
    if before.rank == after.rank and op.type != "Reshape":
        return axis
    # The last axis remains the last one if it keeps its size.
    is_last = axis == before.rank - 1 and before[-1] is not None and before[-1] == after[-1]
    return int(after.rank) - 1 if is_last else None


def channel_axis(tensor: tf.Tensor) -> int:
    """Return where the channels of maps are: where the nearest convolution, bias or resizing upstream has them.

    Where nothing tells, it is where Keras has them by default.
    """
    rank = tensor.shape.rank
    axes = list(range(rank))  # of the tensor, by the axis of what is being looked at
    current = tensor
    while current.shape.rank == rank and current.op.inputs:
        op = current.op
        inner = inline_call(op)
        if inner is not None:
            current = inner[1][current.value_index]
            continue
        found = _channels_of(op, rank)
        if found is not None:
            return axes[found]
        if op.type == "Transpose":
            order = _order(op)
            if order is None:
                break
            axes = [axes[order.index(axis)] for axis in range(rank)]
        current = next((source for source in op.inputs if source.shape.rank == rank), op.inputs[0])
    return 1 if keras.config.image_data_format() == "channels_first" else rank - 1


def _channels_of(op: tf.Operation, rank: int) -> int | None:
    """Return the axis of the channels in what an operation returns, None if it does not tell."""
    if op.type in RESIZING or (op.type == "Reshape" and _is_product(op.inputs[0])):
        return rank - 1
    formats = [op.get_attr("data_format")] if "data_format" in op.node_def.attr else []
    return next((1 if name.startswith(b"NC") else rank - 1 for name in formats), None)


def _order(op: tf.Operation) -> list[int] | None:
    """Return which axis of its input each axis of a transposed tensor is, None if that is not known."""
    order = _constant(op.inputs[1])
    return None if order is None else [int(axis) % len(order) for axis in order]


def _constant(tensor: tf.Tensor) -> Any:
    """Return the value of a tensor that is computed from constants alone, else None."""
    value = tf.get_static_value(tensor)
    if value is not None or tensor.op.type not in _FOLDED:
        return value
    values = [_constant(source) for source in tensor.op.inputs]
    return None if any(value is None for value in values) else _FOLDED[tensor.op.type](*values)


def _is_product(tensor: tf.Tensor) -> bool:
    """Return whether a tensor is a product with weights, as of a dense layer at each position."""
    return bool(tensor.shape.rank == 2 and tensor.op.type == "MatMul")
