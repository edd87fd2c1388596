"""What the axes of a tensor show of the axes of an input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from visualcnn_tf.introspect.geometry.numbers import Number, is_number, is_zero, larger, smaller


@dataclass(frozen=True, eq=False)
class Span:
    """A stretch of one axis of the input.

    Attributes:
        axis: which axis of the input.
        start: where it starts, as a fraction of that axis; below 0 in padding.
        stop: where it stops; over 1 in padding.
        flipped_by: the operation that turned it around, or "".
        shift: by how much of the input's axis it was rolled.
        moved_by: the operation after which positions are no longer known, or "".
    """

    axis: int
    start: Number = 0.0
    stop: Number = 1.0
    flipped_by: str = ""
    shift: Number = 0.0
    moved_by: str = ""


@dataclass(frozen=True, eq=False)
class Factor:
    """One of the factors of the size of an axis: a reshape makes one axis of several, and several of one.

    Attributes:
        size: how many positions, None where unknown.
        span: what they show, or None for channels, examples and the like.
        step: how many positions of the span lie between two of these.
        is_major: whether they run over the whole span; False for positions inside blocks of it.
        inner: an axis of its own that stays whole: tokens with others before or after them.
    """

    size: int | None
    span: Span | None = None
    step: int = 1
    is_major: bool = True
    inner: Axis | None = None

    @property
    def shows_input(self) -> bool:
        """Whether the positions show anything of the input."""
        return self.span is not None or self.inner is not None

    def with_spans(self, change: Callable[[Span], Span]) -> Factor:
        """Return the factor with each span changed."""
        span = None if self.span is None else change(self.span)
        inner = None if self.inner is None else self.inner.with_spans(change)
        return replace(self, span=span, inner=inner)


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of a tensor.

    Attributes:
        factors: what its positions are made of, the slowest first; empty for channels, examples and the like.
        before: how many positions at its start are padding that is not counted in the span yet. A convolution
            without padding of its own may use it up.
        after: the same at its end.
        length: how many positions are no such padding, where that is known; None where it is all that the axis has.
        has_other_tokens: whether a concatenation has put that padding there: tokens that belong to no position.
    """

    factors: tuple[Factor, ...] = ()
    before: Number = 0.0
    after: Number = 0.0
    length: Number | None = None
    has_other_tokens: bool = False

    @property
    def span(self) -> Span | None:
        """What the axis shows, if that is a stretch of one axis of the input."""
        spans = [factor for factor in self.factors if factor.shows_input]
        return spans[0].span if len(spans) == 1 and spans[0] is self.factors[0] and spans[0].is_major else None

    @property
    def axes_with_positions(self) -> set[int]:
        """The axes of the input that the axis shows more than one position of."""
        own = {f.span.axis for f in self.factors if f.span is not None and f.is_major and f.size != 1}
        return own.union(*(f.inner.axes_with_positions for f in self.factors if f.inner is not None))

    @property
    def separate(self) -> list[Axis]:
        """One axis for each of the factors, without padding."""
        return [Axis((factor,)) for factor in self.factors]

    @property
    def has_spans(self) -> bool:
        """Whether the axis shows anything of the input."""
        return any(factor.shows_input for factor in self.factors)

    def with_spans(self, change: Callable[[Span], Span]) -> Axis:
        """Return the axis with each span changed."""
        return replace(self, factors=tuple(factor.with_spans(change) for factor in self.factors))

    def moved(self, by: str) -> Axis:
        """Return the axis after an operation that can't be followed."""
        return self.with_spans(lambda span: replace(span, moved_by=span.moved_by or by))

    def rolled(self, size: Number, shift: int, by: str) -> Axis:
        """Return the axis, of this size, rolled by so many positions; rolled back, it is where it was."""
        span = self.span
        if span is None:
            return self.moved(by)
        part = shift * (span.stop - span.start) / self._length(size)
        return self.with_spans(lambda span: replace(span, shift=span.shift + part))

    def padded(self, size: Number, before: Number, after: Number, by_tokens: bool = False) -> Axis:
        """Return the axis, of this size, with more padding, which may be other tokens."""
        if not self.has_spans:
            return self
        before, after, length = self.before + before, self.after + after, self._length(size)
        by_tokens = by_tokens or self.has_other_tokens
        return replace(self, before=before, after=after, length=length, has_other_tokens=by_tokens)

    def settled(self, size: Number, by: str) -> Axis:
        """Return the axis, of this size, with its padding counted in its span."""
        if not self.has_spans:
            return self
        return self._trimmed(size, -self.before, -self.after, by)

    def cut(self, size: Number, begin: Number, end: Number, by: str) -> Axis:
        """Return the axis, of this size, without its first ``begin`` and its last ``end`` positions."""
        if not self.has_spans:
            return Axis()
        first, last = larger(begin - self.before, 0.0), larger(end - self.after, 0.0)
        left = self._length(size) - first - last
        if is_number(left) and left <= 0:  # nothing but padding
            return Axis()
        trimmed = self._trimmed(size, first, last, by)
        before, after = larger(self.before - begin, 0.0), larger(self.after - end, 0.0)
        return replace(trimmed, before=before, after=after, length=left)

    def resampled(self, size: int | None, by: str, stride: Number = 1.0) -> Axis:
        """Return an axis of another size that covers the same; ``stride`` old positions are one new position."""
        span = self.span
        if not self.has_spans:
            return self
        if span is None:
            return replace(self.moved(by), before=0.0, after=0.0, length=None)
        length = None if self.length is None else self.length / stride
        return Axis((Factor(size, span),), self.before / stride, self.after / stride, length)

    def eaten(self, count: float) -> Axis:
        """Return the axis after a window has used up to ``count`` positions of its padding, half at each end."""
        first = smaller(self.before, count / 2)
        last = smaller(self.after, count - first)
        first = smaller(self.before, count - last)
        return replace(self, before=self.before - first, after=self.after - last)

    def _trimmed(self, size: Number, first: Number, last: Number, by: str) -> Axis:
        """Return the axis without so many positions of its span at both ends, and without padding."""
        if is_zero(first) and is_zero(last):
            return replace(self, before=0.0, after=0.0, length=None)
        span = self.span
        if span is None:
            return replace(self.moved(by), before=0.0, after=0.0, length=None)
        unit = (span.stop - span.start) / self._length(size)
        if span.flipped_by:
            first, last = last, first
        moved = replace(span, start=span.start + first * unit, stop=span.stop - last * unit)
        return Axis((replace(self.factors[0], span=moved), *self.factors[1:]), has_other_tokens=self.has_other_tokens)

    def _length(self, size: Number) -> Number:
        """Return how many positions of the axis, of this size, are no padding."""
        # A tensor's size that is not known may take running what makes it: in a branch that is not taken.
        return size - self.before - self.after if self.length is None or is_number(size) else self.length


#: The axes of a tensor.
Axes: TypeAlias = tuple[Axis, ...]
