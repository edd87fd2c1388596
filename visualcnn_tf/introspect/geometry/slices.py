"""Rules of operations that take part of a tensor, or add to it: slices, splits, gathers, padding, concatenation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from visualcnn_tf.introspect.geometry.axes import Axes, Axis
from visualcnn_tf.introspect.geometry.join import joined
from visualcnn_tf.introspect.geometry.node import Node, Rule
from visualcnn_tf.introspect.geometry.numbers import (
    NotFollowedError,
    Number,
    choose,
    constant,
    elements,
    is_number,
    larger,
    pairs,
    size_of,
    smaller,
)


def _pad(node: Node) -> Axes:
    x, paddings = node.op.inputs[0], pairs(node.op.inputs[1])
    return tuple(axis.padded(size_of(x, k), *paddings[k]) for k, axis in enumerate(node.data))


def _slice(node: Node) -> Axes:
    """The positions from ``begin`` on, ``size`` of them, or all that follow for -1."""
    begins, sizes = elements(node.op.inputs[1]), elements(node.op.inputs[2])
    result = []
    for index, (axis, begin, count) in enumerate(zip(node.data, begins, sizes, strict=True)):
        if not axis.has_spans:
            result.append(Axis())
            continue
        size = size_of(node.op.inputs[0], index)
        rest = size - begin
        end = choose(_is_negative(count), 0.0, rest - count)
        result.append(axis.cut(size, begin, end, node.name))
    return tuple(result)


def _is_negative(value: Number) -> Any:
    return value < 0


def _strided_slice(node: Node) -> Axes:
    begins, ends, steps = (elements(tensor) for tensor in node.op.inputs[1:4])
    result: list[Axis] = []
    for axis, position in _entries(node, len(begins)):
        if axis is None:
            result.append(Axis())
        elif position is None:
            result.append(node.data[axis])
        elif not _masked(node, "shrink_axis", position):
            result.append(_taken(node, axis, position, begins[position], ends[position], steps[position]))
    return tuple(result)


def _entries(node: Node, count: int) -> Iterator[tuple[int | None, int | None]]:
    """Yield the axis and the entry of the index for each part of it: no axis where one is new, no entry for all."""
    rank = len(node.data)
    new = [_masked(node, "new_axis", position) for position in range(count)]
    ellipsis = next((position for position in range(count) if _masked(node, "ellipsis", position)), None)
    indexed = count - sum(new) - (ellipsis is not None)
    axis = 0
    for position in range(count):
        if position == ellipsis:
            for _ in range(rank - indexed):
                yield axis, None
                axis += 1
        elif new[position]:
            yield None, position
        else:
            yield axis, position
            axis += 1
    for rest in range(axis, rank):
        yield rest, None


def _masked(node: Node, name: str, position: int) -> bool:
    return bool(node.attribute(f"{name}_mask") >> position & 1)


def _taken(node: Node, index: int, position: int, begin: Number, end: Number, step: Number) -> Axis:
    axis, size = node.data[index], size_of(node.op.inputs[0], index)
    if not axis.has_spans:
        return Axis()
    whole = _masked(node, "begin", position) and _masked(node, "end", position)
    if not is_number(step) or step == 0:
        raise NotFollowedError
    if step < 0:
        return _flipped(axis, node.name) if whole and step == -1 else axis.moved(node.name)
    first = 0.0 if _masked(node, "begin", position) else _from_start(begin, size)
    stop = size if _masked(node, "end", position) else _from_start(end, size)
    kept = axis.cut(size, first, size - stop, node.name)
    return kept if step == 1 else replace(kept, before=kept.before / step, after=kept.after / step)


def single_positions(node: Node) -> Iterator[tuple[int, Number]]:
    """Yield each axis of which a strided slice reads one position, which its result lacks, and that position."""
    begins = elements(node.op.inputs[1])
    for axis, position in _entries(node, len(begins)):
        if axis is not None and position is not None and _masked(node, "shrink_axis", position):
            yield axis, _from_start(begins[position], size_of(node.op.inputs[0], axis))


def _from_start(bound: Number, size: Number) -> Number:
    """Return a bound of a slice, which counts from the end if it is negative, within the axis."""
    return smaller(larger(choose(_is_negative(bound), bound + size, bound), 0.0), size)


def _flipped(axis: Axis, by: str) -> Axis:
    turned = axis.with_spans(lambda span: replace(span, flipped_by="" if span.flipped_by else by))
    return replace(turned, before=axis.after, after=axis.before)


def _reverse(node: Node) -> Axes:
    axes = {int(axis) % len(node.data) for axis in np.ravel(constant(node.op.inputs[1]))}
    return tuple(_flipped(axis, node.name) if index in axes else axis for index, axis in enumerate(node.data))


def _roll(node: Node) -> Axes:
    """Axes that are rolled back by as much as before are where they were."""
    axes = [int(axis) % len(node.data) for axis in np.ravel(constant(node.op.inputs[2]))]
    result = list(node.data)
    for axis, shift in zip(axes, np.ravel(constant(node.op.inputs[1])), strict=True):
        result[axis] = result[axis].rolled(size_of(node.op.inputs[0], axis), int(shift), node.name)
    return tuple(result)


def _split(node: Node) -> list[Axes]:
    index = int(constant(node.op.inputs[0])) % len(node.axes_of(1))
    size, count = node.op.inputs[1].shape[index], len(node.op.outputs)
    return _parts(node, node.axes_of(1), index, [None if size is None else size // count] * count)


def _split_v(node: Node) -> list[Axes]:
    index = int(constant(node.op.inputs[2])) % len(node.data)
    return _parts(node, node.data, index, [output.shape[index] for output in node.op.outputs])


def _parts(node: Node, axes: Axes, index: int, sizes: Sequence[int | None]) -> list[Axes]:
    if not axes[index].has_spans:
        return [axes] * len(sizes)
    if None in sizes:
        raise NotFollowedError
    total, begin, parts = float(sum(size or 0 for size in sizes)), 0.0, []
    for size in sizes:
        end = begin + float(size or 0)
        part = axes[index].cut(total, begin, total - end, node.name)
        parts.append((*axes[:index], part, *axes[index + 1 :]))
        begin = end
    return parts


def _gather(node: Node) -> Axes:
    """Values at indices: a table read by what is followed, or what is followed read at constant positions."""
    axis = int(constant(node.op.inputs[2])) if len(node.op.inputs) > 2 else 0
    if node.axes[0] is None:
        batch = node.attribute("batch_dims")
        table = [Axis()] * len(node.shape(0))
        return (*table[:axis], *node.axes_of(1)[batch:], *table[axis + 1 :])
    axis %= len(node.data)
    indices = np.asarray(constant(node.op.inputs[1])) if not node.data[axis].has_spans else _positions(node)
    taken = [Axis()] * indices.ndim
    if node.data[axis].has_spans and indices.ndim:
        taken = [_at(node, axis, indices)] if indices.ndim == 1 else [node.data[axis].moved(node.name)] * indices.ndim
    return (*node.data[:axis], *taken, *node.data[axis + 1 :])


def _positions(node: Node) -> Any:
    """Return the positions that are read, or an array of as many axes where they are not constant."""
    known = constant(node.op.inputs[1]) if node.axes[1] is None else None
    return np.asarray(known)


def _at(node: Node, axis: int, indices: Any) -> Axis:
    first, last, size = int(indices[0]), int(indices[-1]), node.op.inputs[0].shape[axis]
    if size is None or not np.array_equal(indices, np.arange(first, last + 1)):
        return node.data[axis].moved(node.name)
    return node.data[axis].cut(float(size), float(first), float(size - 1 - last), node.name)


def _gather_nd(node: Node) -> Axes:
    """Slices at indices of the first axes; the axes of a slice stay as they are."""
    *rows, depth = node.shape(1)
    if depth is None or ("batch_dims" in node.op.node_def.attr and node.attribute("batch_dims")):
        raise NotFollowedError
    read = [axis for axis in node.data[:depth] if axis.has_spans]
    # Which position a row of indices reads is not known, but it reads one.
    first = read[0].moved(node.name) if read else Axis()
    return (*(first if index == 0 else Axis() for index in range(len(rows))), *node.data[depth:])


def _concat(node: Node) -> Axes:
    """What the parts have in common; along the axis that is made longer, constants are padding."""
    *parts, axis_tensor = node.op.inputs
    shape = node.result_shape
    index = int(constant(axis_tensor)) % len(shape)
    showing = [(position, axes) for position, axes in enumerate(node.axes[:-1]) if axes is not None]
    result = [joined([axes[k] for _, axes in showing], size, node.name) for k, size in enumerate(shape)]
    along = [(position, axes[index]) for position, axes in showing if axes[index].has_spans]
    if len(along) == 1:
        position, axis = along[0]
        before: Number = 0.0
        for tensor in parts[:position]:
            before = before + size_of(tensor, index)
        after: Number = 0.0
        for tensor in parts[position + 1 :]:
            after = after + size_of(tensor, index)
        result[index] = axis.padded(size_of(parts[position], index), before, after, by_tokens=True)
    elif along:
        result[index] = along[0][1].moved(node.name)
    return tuple(result)


RULES: dict[str, Rule] = {
    "ConcatV2": _concat,
    "GatherNd": _gather_nd,
    "GatherV2": _gather,
    "MirrorPad": _pad,
    "Pad": _pad,
    "PadV2": _pad,
    "ResourceGather": _gather,
    "ReverseV2": _reverse,
    "Roll": _roll,
    "Slice": _slice,
    "Split": _split,
    "SplitV": _split_v,
    "StridedSlice": _strided_slice,
}
