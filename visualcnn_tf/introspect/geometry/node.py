"""An operation, and what its inputs show of the input that is followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.geometry.axes import Axes
from visualcnn_tf.introspect.geometry.numbers import NotFollowedError


@dataclass(frozen=True, eq=False)
class Node:
    """An operation of the graph.

    Attributes:
        op: the operation.
        axes: for each input what its axes show, or None if it does not depend on the input that is followed.
    """

    op: tf.Operation
    axes: Sequence[Axes | None]

    @property
    def name(self) -> str:
        """What to call the operation in a warning."""
        return f"{self.op.type} ({self.op.name})"

    @property
    def data(self) -> Axes:
        """The axes of the first input.

        Raises:
            NotFollowedError: if that does not depend on the input that is followed.
        """
        return self.axes_of(0)

    def axes_of(self, index: int) -> Axes:
        """Return the axes of an input.

        Raises:
            NotFollowedError: if that does not depend on the input that is followed.
        """
        axes = self.axes[index]
        if axes is None:
            raise NotFollowedError
        return axes

    def shape(self, index: int = 0) -> Shape:
        """Return the shape of an input."""
        return tuple(self.op.inputs[index].shape)

    @property
    def result_shape(self) -> Shape:
        """The shape of the first output."""
        shape = self.op.outputs[0].shape
        if shape.rank is None:
            raise NotFollowedError
        return tuple(shape)

    def attribute(self, name: str) -> Any:
        """Return an attribute of the operation; bytes are decoded to a string."""
        found = self.op.get_attr(name)
        return found.decode() if isinstance(found, bytes) else found


#: From an operation to the axes of its outputs: one for all, or a list. A rule raises ``NotFollowedError`` for a
#: variant of the operation that it does not cover.
Rule: TypeAlias = Callable[[Node], "Axes | list[Axes]"]
