"""Where the batch is after an operation: one rule for each kind of operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import tensorflow as tf

from visualcnn_tf.introspect.batch_axis import BatchAxis, Step

#: From an operation to where the batch is in its outputs, None where that is unknown.
Rule: TypeAlias = Callable[[Step], BatchAxis | None]


def rows(index: int = 0) -> Rule:
    """Return the rule of operations that work on each row of an input by itself."""

    def rule(step: Step) -> BatchAxis | None:
        batch = step.only(index)
        return batch if batch is not None and batch.axis == 0 else None

    return rule


def elementwise(step: Step) -> BatchAxis | None:
    """Align axes from the right, as broadcasting does."""
    batches = {batch.at(batch.axis - step.rank(index)) for index, batch in step.data.items()}
    if len(batches) != 1:
        return None
    [batch] = batches
    return _along_others(step, batch)


def _is_one_or_open(shape: tf.TensorShape, from_right: int) -> bool:
    """Return whether an axis counted from the right has size 1 or an unknown one, or does not exist."""
    return shape.rank is not None and (shape.rank < -from_right or shape[from_right] in (None, 1))


def last_axis(step: Step) -> BatchAxis | None:
    """Work along the last axis."""
    batch = step.only()
    return batch if batch is not None and batch.axis != step.rank() - 1 else None


def axes(index: int) -> Rule:
    """Return the rule of operations that work along the axes that an input names."""

    def rule(step: Step) -> BatchAxis | None:
        batch, axes = step.only(), step.axes(index, step.rank() if 0 in step.data else 1)
        return batch if batch is not None and axes is not None and batch.axis not in axes else None

    return rule


def reduction(step: Step) -> BatchAxis | None:
    """Remove the axes that an input names, or keep them at size 1."""
    batch = axes(1)(step)
    keeps = step.op.type not in ("ArgMax", "ArgMin") and step.op.get_attr("keep_dims")
    return batch if batch is None or keeps else batch.without(set(step.axes(1, step.rank()) or ()))


def transpose(step: Step) -> BatchAxis | None:
    """Move the axis."""
    batch, order = step.only(), step.numbers(1)
    return None if batch is None or order is None else batch.at(order.index(batch.axis))


def expand(step: Step) -> BatchAxis | None:
    """Insert an axis."""
    batch = step.only()
    axes = None if batch is None else step.axes(1, step.rank() + 1)
    return None if batch is None or axes is None else batch.with_new(axes[0])


def squeeze(step: Step) -> BatchAxis | None:
    """Remove axes of size 1; which ones, if none are named, is not known."""
    axes = {axis % step.rank() for axis in step.op.get_attr("squeeze_dims")}
    return step.data[0].without(axes) if axes else None


def concat(step: Step) -> BatchAxis | None:
    """Concatenate tensors; along the batch, their blocks follow one another."""
    count = len(step.op.inputs) - 1
    axes = None if count in step.data else step.axes(count, step.shape.rank)
    batches = [step.data[index] for index in range(count) if index in step.data]
    if axes is None or not batches or len({(batch.axis, batch.inner) for batch in batches}) > 1:
        return None
    if batches[0].axis != axes[0]:
        return batches[0] if len(set(batches)) == 1 else None
    return _one_after_another(batches) if len(batches) == count else None


def _one_after_another(batches: Sequence[BatchAxis]) -> BatchAxis | None:
    blocks = [batch.outer for batch in batches if batch.outer is not None]
    return replace(batches[0], outer=sum(blocks)) if len(blocks) == len(batches) else None


def split(index: int, axis_input: int) -> Rule:
    """Return the rule of operations that cut an input into pieces along an axis."""

    def rule(step: Step) -> BatchAxis | None:
        batch, axes = step.only(index), step.axes(axis_input, step.rank(index) if index in step.data else 1)
        if batch is None or axes is None or batch.axis != axes[0]:
            return batch if axes is not None else None
        is_even = step.op.type == "Split" and batch.outer is not None
        return _divided(batch, len(step.op.outputs)) if is_even else None

    return rule


def _divided(batch: BatchAxis, count: int) -> BatchAxis | None:
    """Return a batch whose blocks are in equal parts."""
    outer, rest = divmod(batch.outer or 0, count)
    return replace(batch, outer=outer) if outer and not rest else None


def pack(step: Step) -> BatchAxis | None:
    """Stack tensors."""
    batches = set(step.data.values())
    axis = step.op.get_attr("axis") % step.shape.rank
    return batches.pop().with_new(axis) if len(batches) == 1 else None


def unpack(step: Step) -> BatchAxis | None:
    """Take tensors apart."""
    return step.data[0].without({step.op.get_attr("axis") % step.rank()})


def tile(step: Step) -> BatchAxis | None:
    """Repeat the whole axis."""
    batch = step.only()
    count = None if batch is None else step.number(1, batch.axis)
    if batch is None or count is None or batch.outer is None:
        return None
    return replace(batch, outer=batch.outer * count)


def pad(step: Step) -> BatchAxis | None:
    """Leave the axis unless it is padded."""
    batch, sizes = step.only(), step.numbers(1)
    is_kept = batch is not None and sizes is not None and not any(sizes[2 * batch.axis : 2 * batch.axis + 2])
    return batch if is_kept else None


def begin_and_size(step: Step) -> BatchAxis | None:
    """Leave the axis if all of it is taken."""
    batch, begin, size = step.only(), step.numbers(1), step.numbers(2)
    is_kept = batch is not None and begin and size and begin[batch.axis] == 0 and size[batch.axis] == -1
    return batch if is_kept else None


def strided_slice(step: Step) -> BatchAxis | None:
    """Follow the axis through what is written as ``x[..., tf.newaxis, 0, :]``."""
    batch, strides = step.only(), step.numbers(3)
    if batch is None or strides is None:
        return None
    source = target = 0
    for entry in _entries(step, strides):
        if source <= batch.axis < source + entry.read:
            return batch.at(target + batch.axis - source) if entry.keeps_all else None
        source, target = source + entry.read, target + entry.written
    return batch.at(target + batch.axis - source)


@dataclass(frozen=True)
class _Entry:
    """One entry of a slice: how many axes it reads and writes, and whether it leaves them as they are."""

    read: int
    written: int
    keeps_all: bool = False


def _entries(step: Step, strides: Sequence[int]) -> Iterator[_Entry]:
    masks = {name: step.op.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    for position, stride in enumerate(strides):
        is_set = {name: bool(mask >> position & 1) for name, mask in masks.items()}
        if is_set["ellipsis"]:
            count = step.rank() - (len(strides) - 1 - masks["new_axis"].bit_count())
            yield _Entry(count, count, keeps_all=True)
        elif is_set["new_axis"]:
            yield _Entry(0, 1)
        elif is_set["shrink_axis"]:
            yield _Entry(1, 0)
        else:
            yield _Entry(1, 1, is_set["begin"] and is_set["end"] and stride == 1)


def gather(params: int, indices: int) -> Rule:
    """Return the rule of operations that look up indices along an axis."""

    def rule(step: Step) -> BatchAxis | None:
        axis = step.numbers(2) if len(step.op.inputs) > 2 else [0]
        if step.op.get_attr("batch_dims"):
            return step.data.get(params) if set(step.data.values()) == {BatchAxis(0)} else None
        if step.only(indices) is not None:
            return step.data[indices] if axis == [0] else None
        batch, added = step.only(params), step.op.inputs[indices].shape.rank
        if batch is None or axis is None or added is None or axis[0] % step.rank(params) == batch.axis:
            return None
        return batch.at(batch.axis + (added - 1 if axis[0] % step.rank(params) < batch.axis else 0))

    return rule


def one_hot(step: Step) -> BatchAxis | None:
    """Insert an axis."""
    batch, axis = step.only(), step.op.get_attr("axis")
    return batch if batch is None or axis == -1 else batch.with_new(axis)


def product(transposed: Sequence[str]) -> Rule:
    """Return the rule of matrix products: rows of the left one, columns of the right one, and the axes before."""

    def rule(step: Step) -> BatchAxis | None:
        batches = {batch.at(batch.axis - step.rank(index)) for index, batch in step.data.items()}
        if len(batches) != 1:
            return None
        [batch] = batches
        if batch.axis < -2:
            return _along_others(step, batch)
        index = next(iter(step.data))
        is_transposed = step.op.get_attr(transposed[index])
        kept = -2 if bool(index) == is_transposed else -1
        return batch.at(step.shape.rank - 2 + index) if len(step.data) == 1 and batch.axis == kept else None

    return rule


def _along_others(step: Step, batch: BatchAxis) -> BatchAxis | None:
    """Return a batch axis counted from the right in the output, if no other input has such an axis of its own."""
    others = [tensor.shape for index, tensor in enumerate(step.op.inputs) if index not in step.data]
    is_free = all(_is_one_or_open(shape, batch.axis) for shape in others)
    return batch.at(step.shape.rank + batch.axis) if is_free else None


def einsum(step: Step) -> BatchAxis | None:
    """Follow the letter of the axis."""
    sources, target = step.op.get_attr("equation").decode().replace(" ", "").split("->")
    terms = sources.split(",")
    if "." in sources:
        return None
    found = {(terms[index][batch.axis], batch.at(0)) for index, batch in step.data.items()}
    others = [terms[index] for index in range(len(terms)) if index not in step.data]
    if len(found) != 1:
        return None
    [(label, batch)] = found
    return batch.at(target.index(label)) if label in target and not any(label in term for term in others) else None


def space_to_batch(step: Step) -> BatchAxis | None:
    """Merge blocks of maps into the batch, all examples of one after another."""
    batch, blocks = rows()(step), step.numbers(1)
    if batch is None or blocks is None or batch.outer is None:
        return None
    return replace(batch, outer=batch.outer * math.prod(blocks))


def batch_to_space(step: Step) -> BatchAxis | None:
    """Part blocks from the batch."""
    batch, blocks = rows()(step), step.numbers(1)
    return None if batch is None or blocks is None else _divided(batch, math.prod(blocks))
