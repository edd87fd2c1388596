"""The part of an input that the feature maps of a layer are a picture of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tensorflow as tf

from visualcnn_tf.introspect.geometry.axes import Axes, Axis, Span
from visualcnn_tf.introspect.geometry.numbers import Number, is_number, size_of
from visualcnn_tf.ops.place import Region


@dataclass(frozen=True, eq=False)
class Part:
    """The part of an input that feature maps are a picture of.

    Attributes:
        axes: which axes of the input their spatial axes show, in the order of these.
        box: for each of them, where it starts and stops, as fractions of the input's axis.
        sizes: the sizes of the spatial axes, None where unknown.
        moved_by: the operation after which positions are no longer known, or "".
        has_blocks: whether a reshape has made their positions of blocks of the input's.
    """

    axes: tuple[int, ...]
    box: tuple[tuple[Number, Number], ...]
    sizes: tuple[int | None, ...]
    moved_by: str
    has_blocks: bool

    @property
    def is_known(self) -> bool:
        """Whether all numbers are."""
        return all(is_number(*ends) for ends in self.box)

    def with_box(self, numbers: Sequence[Number]) -> Part:
        """Return the part with other numbers in its box, flat."""
        return replace(self, box=tuple(zip(numbers[::2], numbers[1::2], strict=True)))

    def region(self) -> Region | None:
        """Return the part as a region of the input, or None if it is all of it."""
        order = tuple(sorted(range(len(self.axes)), key=self.axes.__getitem__))
        if order == tuple(range(len(order))) and all(map(_covers_all, self.box, self.sizes)):
            return None
        return Region(tuple(self.box[index] for index in order), order)


def part_of(tensor: tf.Tensor, axes: Axes, spatial: Sequence[int], token_axes: int = 0) -> Part | None:
    """Return the part of the input that a tensor is a picture of, given what its axes show and which are spatial.

    Args:
        tensor: the tensor.
        axes: what its axes show.
        spatial: which of them are spatial.
        token_axes: how many axes of the input the one axis of tokens shows; 0 for maps.

    Returns:
        None if its spatial axes do not show one axis of the input each.
    """
    if token_axes:
        separate = axes[spatial[0]].separate
        shown, sizes = [axis.span for axis in separate], [axis.factors[0].size for axis in separate]
    else:
        shown, sizes = [_shown(axes[index], tensor, index) for index in spatial], [tensor.shape[i] for i in spatial]
    spans = _of_one_axis_each(shown)
    if len(spans) != (token_axes or len(spatial)):
        return None
    return Part(
        axes=tuple(span.axis for span in spans),
        box=tuple((span.start, span.stop) for span in spans),
        sizes=tuple(sizes),
        moved_by=next(filter(None, map(_moved_by, spans)), ""),
        has_blocks=any(axes[index].factors[0].step != 1 for index in spatial),
    )


def _of_one_axis_each(shown: Sequence[Span | None]) -> list[Span]:
    """Return the spans if each is one of another axis of the input, else none."""
    spans = [span for span in shown if span is not None]
    return spans if len({span.axis for span in spans}) == len(shown) else []


def _shown(axis: Axis, tensor: tf.Tensor, index: int) -> Span | None:
    return None if axis.span is None else axis.settled(size_of(tensor, index), tensor.op.name).span


def _moved_by(span: Span) -> str:
    return span.moved_by or span.flipped_by or ("" if is_number(span.shift) and abs(span.shift) < 1e-6 else "Roll")


def _covers_all(ends: tuple[Number, Number], size: int | None) -> bool:
    """Return whether an axis covers all of the input but for half of one of its positions."""
    start, stop = ends
    if not is_number(start, stop):
        return False
    # Slightly more than half, for sizes that were rounded: NASNet shifts maps by a pixel before it halves them.
    half = 0.51 * (stop - start) / size if size else 1e-6
    return bool(abs(start) <= half and abs(1 - stop) <= half)
