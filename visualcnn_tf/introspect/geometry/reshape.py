"""Follow positions through a reshape: axes that are split, and axes that become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.geometry.axes import Axes, Axis, Factor
from visualcnn_tf.introspect.geometry.numbers import NotFollowedError, is_zero


def reshaped(axes: Axes, before: Shape, after: Shape, by: str) -> Axes:
    """Return the axes of a tensor that is reshaped from one shape to another.

    Raises:
        NotFollowedError: where an axis of the result begins inside of one that has positions.
    """
    result: list[Axis] = []
    for sources, targets in _groups(before, after):
        if len(sources) == len(targets) == 1:
            result.append(axes[sources[0]])
        else:
            given = [(axes[index], before[index]) for index in sources]
            result += _regrouped(given, [after[index] for index in targets], by)
    return tuple(result)


def _regrouped(axes: Sequence[tuple[Axis, int | None]], sizes: Sequence[int | None], by: str) -> list[Axis]:
    """Return the axes of a run of new sizes, given the old axes with their sizes."""
    longer = [axis for axis, size in axes if size != 1]
    if len(longer) == 1 and sum(size != 1 for size in sizes) == 1:  # axes of size 1 come or go
        return [Axis() if size == 1 else longer[0] for size in sizes]
    factors = [factor for axis, size in axes for factor in _factors_of(axis, size, by)]
    return _dealt(factors, sizes)


def _factors_of(axis: Axis, size: int | None, by: str) -> list[Factor]:
    """Return the factors of an axis; one for all of it where other tokens come before or after those of positions."""
    is_padded = not (is_zero(axis.before) and is_zero(axis.after))
    if is_padded and size is not None and (axis.span is None or axis.has_other_tokens):
        return [Factor(size, inner=axis)]
    return _factors(_settled(axis, size, by), size)


def _settled(axis: Axis, size: int | None, by: str) -> Axis:
    """Return an axis without padding that waits to be used up."""
    if is_zero(axis.before) and is_zero(axis.after):
        return axis
    return axis.moved(by) if size is None else axis.settled(float(size), by)


def _groups(before: Shape, after: Shape) -> list[tuple[range, range]]:
    """Return runs of axes, first to last, that hold equally many numbers before and after, as short as can be."""
    groups: list[tuple[range, range]] = []
    end, new_end = len(before), len(after)
    while end and new_end:
        start, new_start = _start_of_group(before[:end], after[:new_end])
        groups.append((range(start, end), range(new_start, new_end)))
        end, new_end = start, new_start
    if end or new_end:  # axes of size 1 are left over: they join the first run
        sources, targets = groups.pop() if groups else (range(end, end), range(new_end, new_end))
        groups.append((range(sources.stop), range(targets.stop)))
    return groups[::-1]


def _start_of_group(before: Shape, after: Shape) -> tuple[int, int]:
    """Return where the last run begins."""
    if before == after:
        return len(before) - 1, len(after) - 1
    start, new_start = len(before) - 1, len(after) - 1
    size, new_size = before[start], after[new_start]
    while size != new_size or size is None:
        if size is None or new_size is None:
            return 0, 0
        if size < new_size and start:
            start -= 1
            size = _times(size, before[start])
        elif size > new_size and new_start:
            new_start -= 1
            new_size = _times(new_size, after[new_start])
        else:
            return 0, 0
    return start, new_start


def _times(size: int, other: int | None) -> int | None:
    return None if other is None else size * other


def _factors(axis: Axis, size: int | None) -> list[Factor]:
    """Return the factors of an axis; those of one alone have its size."""
    if len(axis.factors) > 1:
        return list(axis.factors)
    return [replace(axis.factors[0], size=size) if axis.factors else Factor(size)]


def _dealt(factors: Sequence[Factor], sizes: Sequence[int | None]) -> list[Axis]:
    """Return axes of these sizes, which the factors are dealt to, the last first."""
    unknown = sizes.count(None)
    if unknown > 1 and unknown != [factor.size for factor in factors].count(None):
        raise NotFollowedError
    left, axes = list(factors), []
    for index in reversed(range(len(sizes))):
        size = sizes[index]
        taken: list[Factor]
        if index == 0:
            taken, left = left, []
        elif size is None:
            taken = [left.pop()] if left else []
        else:
            taken = _taken(left, size)
        axes.append(_axis(taken))
    return axes[::-1]


def _taken(left: list[Factor], size: int) -> list[Factor]:
    """Take factors of this size, all together, from the end of those that are left."""
    if size == 1:
        return [left.pop()] if left and left[-1].size == 1 else []
    taken: list[Factor] = []
    while size > 1:
        factor = left.pop() if left else None
        if factor is None or factor.size is None:
            raise NotFollowedError
        if size % factor.size == 0:
            size //= factor.size
        elif factor.size % size == 0 and factor.inner is None:
            left.append(replace(factor, size=factor.size // size, step=factor.step * size))
            factor, size = replace(factor, size=size, is_major=False), 1
        else:
            raise NotFollowedError
        taken.insert(0, factor)
    return taken


def _axis(factors: Sequence[Factor]) -> Axis:
    """Return the axis of these factors, those put together that a reshape had split."""
    kept: list[Factor] = []
    for factor in factors:
        last = kept[-1] if kept else None
        if factor.size == 1 and len(factors) > 1:
            continue
        if last and _continues(last, factor):
            size = last.size * factor.size if last.size and factor.size else None
            kept[-1] = replace(last, size=size, step=factor.step)
        else:
            kept.append(factor)
    axis = Axis(tuple(kept))
    inner = kept[0].inner if len(kept) == 1 else None
    return inner or (axis if axis.has_spans else Axis())


def _continues(last: Factor, factor: Factor) -> bool:
    """Return whether a factor's positions lie between those of the last one."""
    if last.span is None or factor.span is None or factor.is_major or last.span.axis != factor.span.axis:
        return False
    return factor.size is not None and last.step == factor.size * factor.step
