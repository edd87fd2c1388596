"""Windows that slide over an axis, of convolutions and poolings, and their gradients put back in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Window:
    """A window that slides along one axis.

    Attributes:
        size: of the input.
        places: where the window stops: the size of the output.
        kernel: number of elements that it reads.
        stride: from one place to the next.
        dilation: from one element to the next.
        before: padding before the input.
    """

    size: int
    places: int
    kernel: int
    stride: int
    dilation: int
    before: int

    @property
    def reach(self) -> int:
        """From the first to behind the last element."""
        return (self.kernel - 1) * self.dilation + 1


def windows(op: Any, kernel: Sequence[int]) -> list[Window] | None:
    """Those of an operation by axis; None where the channels come first or a size is unknown."""
    if op.get_attr("data_format") not in (b"NHWC", b"NDHWC"):
        return None
    before, after = op.inputs[0].shape, op.outputs[0].shape
    if before.rank is None or None in [*before[1:], *after[1:], *kernel]:
        return None
    names = op.node_def.attr.keys()
    dilations = op.get_attr("dilations") if "dilations" in names else [1] * before.rank
    explicit = op.get_attr("explicit_paddings") if "explicit_paddings" in names else []
    found = []
    for axis, count in enumerate(kernel, start=1):
        stride, dilation = op.get_attr("strides")[axis], dilations[axis] if count > 1 else 1
        missing = (after[axis] - 1) * stride + (count - 1) * dilation + 1 - before[axis]
        border = {b"VALID": 0, b"SAME": max(missing, 0) // 2}
        start = explicit[2 * axis] if explicit else border[op.get_attr("padding")]
        found.append(Window(before[axis], after[axis], count, stride, dilation, start))
    return found


def spread(gradient: Any, axes: Sequence[Window]) -> tuple[Any, list[list[int]]]:
    """Elements a stride apart, zeros between them, and the border that is still to be added.

    Then windows of stride 1 without padding, their elements in reverse order, read at the place of each input value
    the gradients of the outputs that it went into.
    """
    leads = [min(axis.stride - 1, max(axis.reach - 1 - axis.before, 0)) for axis in axes]
    if any(axis.stride > 1 for axis in axes):
        gradient = _apart(gradient, axes, leads)
    border, crop = [[0, 0]], [slice(None)]
    for axis, lead in zip(axes, leads, strict=True):
        length = axis.places * axis.stride
        before = axis.reach - 1 - axis.before - lead
        after = axis.size + axis.reach - 1 - before - length
        border.append([max(before, 0), max(after, 0)])
        crop.append(slice(max(-before, 0), length - max(-after, 0)))
    cropped = any(
        (part.stop - part.start) < axis.places * axis.stride for part, axis in zip(crop[1:], axes, strict=True)
    )
    return gradient[tuple(crop)] if cropped else gradient, [*border, [0, 0]]


def _apart(gradient: Any, axes: Sequence[Window], leads: Sequence[int]) -> Any:
    """Zeros between the rows and between the columns, by one padding on axes that the reshaping makes."""
    (rows, columns), (above, left) = axes, leads
    channels = gradient.shape[-1]
    border = [
        [0, 0],
        [above, rows.stride - 1 - above],
        [0, 0],
        [left * channels, (columns.stride - 1 - left) * channels],
    ]
    wide = tf.pad(tf.reshape(gradient, [-1, 1, columns.places, channels]), border)
    return tf.reshape(wide, [-1, rows.places * rows.stride, columns.places * columns.stride, channels])


def read_by_windows(spread_gradient: Any, border: list[list[int]], axes: Sequence[Window]) -> tuple[Any, str]:
    """What windows of stride 1 are to read, and the padding to give them: a border of its own only where needed."""
    same = [[(axis.reach - 1) // 2, axis.reach // 2] for axis in axes]
    if border[1:-1] == same:
        return spread_gradient, "SAME"
    return padded(spread_gradient, border), "VALID"


def padded(tensor: Any, border: list[list[int]], fill: float = 0.0) -> Any:
    """With zeros or another value around it."""
    return tf.pad(tensor, border, constant_values=fill) if any(map(any, border)) else tensor
