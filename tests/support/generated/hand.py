"""Run a generated model by hand, piece after piece, in eager mode: what each layer returns, and where that lies.

Nothing here imports the package.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import tensorflow as tf

#: From which pixel to which pixel of the reference input a map reaches, one pair for each spatial axis.
Box = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Elements:
    """Several maps for each example, merged into the batch.

    Attributes:
        count: how many.
        order: ``"example"``: all of the first example first; ``"element"``: the first of all examples first.
        how: ``"steps"`` for TimeDistributed, else ``"merged"``.
    """

    count: int
    order: str = "example"
    how: str = "merged"


@dataclass(frozen=True)
class Flow:
    """A tensor on its way through the model.

    Attributes:
        value: the tensor, ``(B, h, w, C)`` or of another number of spatial axes.
        reference: the name of the input that it is a picture of, or None.
        box: which part of that input it shows, in pixels.
        slack: how much of the box, at the start and the end of each axis, is padding that a VALID convolution takes for
            its own.
        elements: what is merged into its batch, or None.
    """

    value: tf.Tensor
    reference: str | None
    box: Box
    elements: Elements | None = None
    slack: Box | None = None

    @property
    def space(self) -> tuple[int, ...]:
        """The size of the map."""
        return tuple(self.value.shape[1:-1])

    def to(self, value: tf.Tensor) -> Flow:
        """The same place with another value."""
        return replace(self, value=value)

    def moved(self, value: tf.Tensor, cells: Sequence[tuple[int, int]]) -> Flow:
        """What remains after so many cells are cut off before and after, or were added where they are negative."""
        box, slack = [], []
        for (low, high), (start, end), cell, (before, after) in zip(
            self.box, self._slack, self._cells, cells, strict=True
        ):
            box.append((low + before * cell, high - after * cell))
            slack.append((max(start - before * cell, 0.0), max(end - after * cell, 0.0)))
        return replace(self, value=value, box=tuple(box), slack=tuple(slack))

    def windowed(self, value: tf.Tensor, reach: Sequence[int]) -> Flow:
        """What a VALID convolution or pooling returns: the border that it takes off is padding, where there is some.

        Args:
            value: what it returns.
            reach: for each axis, how many positions more than one a window spans.
        """
        box, slack = [], []
        for (low, high), (start, end), cell, more in zip(self.box, self._slack, self._cells, reach, strict=True):
            taken = more * cell
            last = min(end, taken - min(start, taken / 2))
            first = min(start, taken - last)
            box.append((low + first, high - last))
            slack.append((start - first, end - last))
        return replace(self, value=value, box=tuple(box), slack=tuple(slack))

    def settled(self) -> Flow:
        """The same with its padding as a part of the picture."""
        return replace(self, slack=None)

    @property
    def _slack(self) -> Box:
        return self.slack or ((0.0, 0.0),) * len(self.box)

    @property
    def _cells(self) -> list[float]:
        """How many pixels of the input are one position, along each axis."""
        return [(high - low) / n for (low, high), n in zip(self.box, self.space, strict=True)]


@dataclass(frozen=True)
class Call:
    """A call of a layer: what a heatmap is made of.

    Attributes:
        path: the layer's path.
        kind: ``"conv"`` (convolutions and pooling), ``"feature"`` (what else ends a stage) or ``"other"``.
        flow: what it returned.
        index: which call of the layer it is.
    """

    path: str
    kind: str
    flow: Flow
    index: int


class Hand:
    """Keeps what the layers return.

    Args:
        change: what is done to the output of a call, by the number of the call among all; None for nothing.

    Attributes:
        calls: all calls of layers with maps, in the order in which they were made.
    """

    def __init__(self, change: Callable[[int, tf.Tensor], tf.Tensor] | None = None) -> None:
        self.change = change
        self.calls: list[Call] = []
        self._folders: list[str] = []

    def note(self, name: str, kind: str, flow: Flow) -> Flow:
        """Keep a layer's output, changed as is asked for, and return it."""
        if self.change is not None:
            flow = flow.to(self.change(len(self.calls), flow.value))
        path = "/".join([*self._folders, name])
        index = sum(call.path == path for call in self.calls)
        self.calls.append(Call(path, kind, flow, index))
        return flow

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Within, layers stand inside a layer of that name."""
        self._folders.append(name)
        try:
            yield
        finally:
            self._folders.pop()
