"""Windows of convolutions and poolings that slide along an axis, and the strides undone in their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf

from visualcnn_tf.gradients.not_covered import require

#: Of each axis, the padding before and after it.
Paddings: TypeAlias = list[list[int]]


@dataclass(frozen=True)
class Window:
    """A window that slides along one axis.

    Attributes:
        size: size of the input.
        positions: number of positions of the window, which is the size of the output.
        kernel: number of elements in the window.
        stride: step from one position to the next.
        dilation: step from one element to the next.
        before: padding before the input.
    """

    size: int
    positions: int
    kernel: int
    stride: int
    dilation: int
    before: int

    @property
    def extent(self) -> int:
        """Length of the window, the gaps between dilated elements included."""
        return (self.kernel - 1) * self.dilation + 1


def windows(op: tf.Operation, kernel: Sequence[int]) -> list[Window]:
    """Return the window of each spatial axis of an operation; channels first and unknown sizes are not covered."""
    x, y = op.inputs[0].shape, op.outputs[0].shape
    require(op.get_attr("data_format") in (b"NHWC", b"NDHWC") and None not in [*x[1:], *y[1:], *kernel])
    strides, dilations = op.get_attr("strides"), _attribute(op, "dilations", [1] * x.rank)
    found = []
    for axis, count in enumerate(kernel, start=1):
        dilation = dilations[axis] if count > 1 else 1
        missing = (y[axis] - 1) * strides[axis] + (count - 1) * dilation + 1 - x[axis]
        before = _padding_before(op, axis, missing)
        found.append(Window(x[axis], y[axis], count, strides[axis], dilation, before))
    return found


def _padding_before(op: tf.Operation, axis: int, missing: int) -> int:
    """Return the padding before an axis on which the windows read so many elements more than the input has."""
    explicit: Sequence[int] = _attribute(op, "explicit_paddings", [])
    if explicit:
        return explicit[2 * axis]
    return max(missing, 0) // 2 if op.get_attr("padding") == b"SAME" else 0


def _attribute(op: tf.Operation, name: str, default: Any) -> Any:
    return op.get_attr(name) if name in op.node_def.attr else default


def insert_zeros(gradient: tf.Tensor, axes: Sequence[Window]) -> tuple[tf.Tensor, Paddings]:
    """Undo the strides in an output gradient by inserting zeros between its elements.

    The gradient of the input is then read by windows of stride 1 without padding, their elements in reverse order.

    Returns:
        The gradient with the zeros, and the padding that it still needs on each axis for these windows.
    """
    leads = [min(axis.stride - 1, max(axis.extent - 1 - axis.before, 0)) for axis in axes]
    if any(axis.stride > 1 for axis in axes):
        gradient = _insert_zeros_2d(gradient, axes, leads)
    paddings, crops = [], []
    for axis, lead in zip(axes, leads, strict=True):
        length = axis.positions * axis.stride
        before = axis.extent - 1 - axis.before - lead
        after = axis.size + axis.extent - 1 - before - length
        paddings.append([max(before, 0), max(after, 0)])
        crops.append(slice(max(-before, 0), length - max(-after, 0)))
    if crops != [slice(0, axis.positions * axis.stride) for axis in axes]:
        gradient = gradient[(slice(None), *crops)]
    return gradient, [[0, 0], *paddings, [0, 0]]


def _insert_zeros_2d(gradient: tf.Tensor, axes: Sequence[Window], leads: Sequence[int]) -> tf.Tensor:
    """Insert zeros around each element, so many of them before it: one padding of an axis for each row and column."""
    (rows, columns), (above, left) = axes, leads
    channels = gradient.shape[-1]
    paddings = [
        [0, 0],
        [above, rows.stride - 1 - above],
        [0, 0],
        [left * channels, (columns.stride - 1 - left) * channels],
    ]
    wide = tf.pad(tf.reshape(gradient, [-1, 1, columns.positions, channels]), paddings)
    return tf.reshape(wide, [-1, rows.positions * rows.stride, columns.positions * columns.stride, channels])


def pad_for_windows(gradient: tf.Tensor, paddings: Paddings, axes: Sequence[Window]) -> tuple[tf.Tensor, str]:
    """Pad what windows of stride 1 read, unless ``"SAME"`` padding does; also return the padding of the windows."""
    same = [[(axis.extent - 1) // 2, axis.extent // 2] for axis in axes]
    if paddings[1:-1] == same:
        return gradient, "SAME"
    return pad(gradient, paddings), "VALID"


def pad(tensor: tf.Tensor, paddings: Paddings, value: float = 0.0) -> tf.Tensor:
    """Pad a tensor with a value, without an operation where all paddings are zero."""
    return tf.pad(tensor, paddings, constant_values=value) if any(map(any, paddings)) else tensor
