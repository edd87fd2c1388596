"""BatchAxis: which axis of a tensor holds the batch, and how its entries belong to the examples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class BatchAxis:
    """The axis of a tensor that holds the batch of ``B`` examples.

    It has ``outer · B · inner`` entries, in row-major order: entry ``(o · B + b) · inner + i`` belongs to example
    ``b``. A reshape of ``(B, V, ...)`` to ``(B · V, ...)`` has ``inner = V``; two views concatenated on the batch
    axis have ``outer = 2``.

    Attributes:
        axis: the index of the axis.
        outer: how many blocks of all examples it has, None where unknown.
        inner: how many entries in a row belong to one example, None where unknown.
    """

    axis: int
    outer: int | None = 1
    inner: int | None = 1

    @property
    def is_row_per_example(self) -> bool:
        """Whether the tensor has the batch first, and one row for each example."""
        return self == BatchAxis(0)

    def at(self, axis: int) -> BatchAxis:
        """Return the same at another axis."""
        return replace(self, axis=axis)

    def without(self, axes: Collection[int]) -> BatchAxis | None:
        """Return the same after other axes were removed; None if it was among them."""
        return None if self.axis in axes else self.at(self.axis - sum(axis < self.axis for axis in axes))

    def with_new(self, axis: int) -> BatchAxis:
        """Return the same after an axis was inserted."""
        return self.at(self.axis + (axis <= self.axis))


#: Where the batch is in tensors, by reference: None where that is unknown; tensors that no input leads to are missing.
Found = Mapping[Any, BatchAxis | None]


@dataclass(frozen=True, eq=False)
class Step:
    """One operation.

    Attributes:
        op: the operation.
        data: where the batch is in its inputs, by index; inputs that do not depend on the batch are missing.
        found: where it is in all tensors before.
    """

    op: tf.Operation
    data: Mapping[int, BatchAxis]
    found: Found

    @property
    def shape(self) -> tf.TensorShape:
        """The shape of the first output."""
        return self.op.outputs[0].shape

    def only(self, index: int = 0) -> BatchAxis | None:
        """Return where the batch is in an input, if that is the only one that depends on it."""
        return self.data[index] if set(self.data) == {index} else None

    def rank(self, index: int = 0) -> int:
        """Return the rank of an input that holds the batch."""
        return int(self.op.inputs[index].shape.rank)

    def numbers(self, index: int) -> list[int] | None:
        """Return the integers in a constant input, or None if it is not constant."""
        value = tf.get_static_value(self.op.inputs[index])
        return None if value is None else [int(number) for number in value.reshape(-1)]

    def number(self, index: int, position: int) -> int | None:
        """Return one integer of an input that may be constant in part."""
        numbers, op = self.numbers(index), self.op.inputs[index].op
        if numbers is not None:
            return numbers[position]
        value = tf.get_static_value(op.inputs[position]) if op.type == "Pack" else None
        return None if value is None else int(value)

    def axes(self, index: int, rank: int) -> list[int] | None:
        """Return the axes in a constant input, from 0; None if it is not constant."""
        numbers = self.numbers(index)
        return None if numbers is None else [number % rank for number in numbers]
