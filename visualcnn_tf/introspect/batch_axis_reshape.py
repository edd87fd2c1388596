"""Where the batch is after a reshape, which may merge it with other axes, or part it from them."""

from __future__ import annotations

from collections.abc import Iterable

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.batch_axis import BatchAxis, Step
from visualcnn_tf.introspect.batch_size import first_number


def reshape(step: Step) -> BatchAxis | None:
    """Return where the batch is after a reshape."""
    batch = step.only()
    if batch is None:
        return None
    source, target = tuple(step.op.inputs[0].shape), tuple(step.shape)
    return _by_sizes(batch, source, target) or _by_first_number(batch, step)


def _by_sizes(batch: BatchAxis, source: Shape, target: Shape) -> BatchAxis | None:
    """Find the axis that has as many entries before and after each example as there were, where these are known."""
    before, after = _count(source[: batch.axis], batch.outer), _count(source[batch.axis + 1 :], batch.inner)
    found = []
    for axis in range(len(target)):
        outer, inner = _quotient(before, _count(target[:axis])), _quotient(after, _count(target[axis + 1 :]))
        if outer and inner and _has_size(target[axis], source[batch.axis], batch, outer * inner):
            found.append(BatchAxis(axis, outer, inner))
    return min(found, key=lambda one: (one.outer or 1) * (one.inner or 1), default=None)


def _has_size(size: int | None, size_before: int | None, batch: BatchAxis, entries: int) -> bool:
    """Return whether an axis of this size may hold so many entries for each example."""
    if size_before is None or batch.outer is None or batch.inner is None:
        return size is None
    return size in (None, size_before // (batch.outer * batch.inner) * entries)


def _by_first_number(batch: BatchAxis, step: Step) -> BatchAxis | None:
    """Read in the shape that is asked for that the batch, or a multiple of it, comes first."""
    if batch.axis or batch.outer != 1:
        return None
    number = first_number(step.op.inputs[1], step.found)
    if number is None or number == "unknown":
        is_open = None in (*step.op.inputs[0].shape[1:], *step.shape[1:], batch.inner)
        return BatchAxis(0, 1, None) if number and is_open else None
    return BatchAxis(0, 1, number)


def _count(sizes: Iterable[int | None], factor: int | None = 1) -> int | None:
    product = factor
    for size in sizes:
        product = None if product is None or size is None else product * size
    return product


def _quotient(number: int | None, divisor: int | None) -> int | None:
    return number // divisor if number and divisor and number % divisor == 0 else None
