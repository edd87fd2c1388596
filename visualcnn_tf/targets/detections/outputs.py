"""The outputs of a detector, and what was said about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

_CORNERS = 4


@dataclass(frozen=True, eq=False)
class DetectorOutputs:
    """The outputs of a detector, tensors of one graph, and what was said about them.

    Attributes:
        tensors: the outputs by name.
        asked: the name of the output that holds the scores, or None.
        boxes: the name of the output that holds the boxes, or None.
        columns: which columns of the rows hold the scores of classes, first and last + 1, or None.
    """

    tensors: Mapping[str, tf.Tensor]
    asked: str | None = None
    boxes: str | None = None
    columns: tuple[int, int] | None = None

    def may_hold_scores(self, name: str) -> bool:
        """Return whether an output may be the one that holds the scores."""
        return self.tensors[name].dtype.is_floating and name != self.boxes and self.asked in (None, name)

    def boxes_beside(self, name: str) -> tf.Tensor | None:
        """Return the boxes of an output's rows, ``(B, N, 4)``; None where none or several may be it."""
        if self.boxes is not None:
            return self.tensors[self.boxes]
        found = self.fours_beside(name)
        return found[0] if len(found) == 1 else None

    def fours_beside(self, name: str) -> list[tf.Tensor]:
        """Return all other outputs with four numbers for each row of an output."""
        return [
            tensor
            for other, tensor in self.tensors.items()
            if other != name and is_table(tensor, self.tensors[name].shape[1]) and tensor.shape[-1] == _CORNERS
        ]

    def lists_of(self, count: int | None) -> dict[str, tf.Tensor]:
        """Return the outputs with one number for each of so many rows, ``(B, N)``."""
        return {
            name: tensor
            for name, tensor in self.tensors.items()
            if tensor.shape.rank == 2 and tensor.shape[1] == count and count != 1
        }


def is_table(tensor: tf.Tensor, count: int | None = -1) -> bool:
    """Return whether a tensor has a known number of columns ``(B, N, C)``, and ``count`` rows if that is given."""
    is_right = tensor.shape.rank == 3 and tensor.shape[-1] is not None and tensor.dtype.is_floating
    return bool(is_right and count in (-1, tensor.shape[1]))
