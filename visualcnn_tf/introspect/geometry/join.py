"""Join what several tensors show, where an operation makes one tensor of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.geometry.axes import Axes, Axis, Span
from visualcnn_tf.introspect.geometry.numbers import Number, is_number, is_same, larger, smaller

#: From the spans of two axes that differ to that of the joined one.
JoinSpans = Callable[[Span, Span, str], Span]


def broadcast(parts: Sequence[tuple[Axes, Shape]], shape: Shape, by: str) -> Axes:
    """Return the axes of a tensor of this shape that tensors, with their shapes, are broadcast to."""
    result = []
    for index in range(-len(shape), 0):
        there = [axes[index] for axes, before in parts if len(before) >= -index and _keeps(before[index], shape[index])]
        result.append(joined(there, shape[index], by))
    return tuple(result)


def joined(axes: Sequence[Axis], size: int | None, by: str) -> Axis:
    """Return what an axis of this size shows that is made of several: what all of them show that show anything."""
    showing = [axis for axis in axes if axis.has_spans]
    if not showing:
        return Axis()
    result = showing[0]
    for other in showing[1:]:
        result = two_joined(result, other, None if size is None else float(size), by, intersection)
    return result


def two_joined(one: Axis, other: Axis, size: Number | None, by: str, join: JoinSpans) -> Axis:
    """Return the axis that two make; their padding is counted in their spans where these differ."""
    if one is other or is_same_axis(one, other):
        return one
    if one.span is None or other.span is None or size is None:
        return one.moved(by)
    one, other = one.settled(size, by), other.settled(size, by)
    first, second = one.span, other.span
    if first is None or second is None or not _can_be_compared(first, second):
        return one.moved(by)
    if _is_close(first, second, size):
        return one.with_spans(lambda span: replace(span, moved_by=span.moved_by or second.moved_by))
    return one.with_spans(lambda span: join(span, second, by))


def _can_be_compared(one: Span, other: Span) -> bool:
    """Return whether two spans are stretches of the same axis in the same direction."""
    same_direction = bool(one.flipped_by) == bool(other.flipped_by)
    return one.axis == other.axis and same_direction and is_same(one.shift, other.shift)


def intersection(one: Span, other: Span, by: str) -> Span:
    """Return the span that lies inside of the other; of two crops, none of which does, nothing is known."""
    start, stop = larger(one.start, other.start), smaller(one.stop, other.stop)
    moved_by = one.moved_by or other.moved_by
    if is_number(start, stop) and not any(is_same(start, s.start) and is_same(stop, s.stop) for s in (one, other)):
        moved_by = moved_by or by
    return replace(one, start=start, stop=stop, moved_by=moved_by)


def _keeps(before: int | None, size: int | None) -> bool:
    """Return whether an axis is not repeated to get its new size."""
    return before == size or before != 1


def is_same_axis(one: Axis, other: Axis) -> bool:
    """Return whether two axes of one size show the same."""
    is_stretch = len(one.factors) == 1  # whose size is that of the axis
    return (
        len(one.factors) == len(other.factors)
        and is_same(one.before, other.before)
        and is_same(one.after, other.after)
        and all(
            (is_stretch or f.size == g.size)
            and f.is_major == g.is_major
            and _are_equal(f.span, g.span)
            and _have_same_inner(f.inner, g.inner)
            for f, g in zip(one.factors, other.factors, strict=True)
        )
    )


def _have_same_inner(one: Axis | None, other: Axis | None) -> bool:
    return one is other or (one is not None and other is not None and is_same_axis(one, other))


def _are_equal(one: Span | None, other: Span | None) -> bool:
    if one is None or other is None:
        return one is other
    numbers = ((one.start, other.start), (one.stop, other.stop), (one.shift, other.shift))
    is_alike = (one.axis, one.flipped_by, one.moved_by) == (other.axis, other.flipped_by, other.moved_by)
    return is_alike and all(is_same(*pair) for pair in numbers)


def _is_close(one: Span, other: Span, size: Number) -> bool:
    """Return whether two spans differ by no more than a position: branches that round sizes in different ways."""
    if not is_number(one.start, one.stop, other.start, other.stop, size):
        return False
    unit = 1.001 * (one.stop - one.start) / size
    return bool(abs(one.start - other.start) <= unit and abs(one.stop - other.stop) <= unit)
