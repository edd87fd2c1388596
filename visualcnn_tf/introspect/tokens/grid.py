"""TokenGrid: which of a row of tokens stand for the positions of an image, signal or video."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from visualcnn_tf._utils.checks import bad_value, is_count


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True, init=False, repr=False)
class TokenGrid:
    """Which of the tokens ``(B, N, C)`` of a transformer stand for the positions of its image, signal or video.

    The tokens of positions follow one another, row by row. ``prefix`` others come before them, such as a class token;
    all that follow them, such as registers, belong to no position either.

    Args:
        *shape: the number of positions along each axis: ``h, w`` of an image, ``n`` of a signal, ``t, h, w`` of
            a video.
        prefix: how many tokens come before those of positions.

    Raises:
        InvalidArgumentError: An argument is no such number, or there are none, or more than three.

    Example:
        >>> grid = TokenGrid(14, 14, prefix=1)
        >>> grid, grid.count, grid.suffix_of(201)
        (TokenGrid(14, 14, prefix=1), 196, 4)
    """

    shape: tuple[int, ...]
    prefix: int

    def __init__(self, *shape: int, prefix: int = 0) -> None:
        if not 1 <= len(shape) <= 3 or not all(map(is_count, shape)):
            what = "one to three numbers of positions, of at least 1, such as TokenGrid(14, 14)"
            raise bad_value("shape", what, shape)
        if not (prefix == 0 and not isinstance(prefix, bool)) and not is_count(prefix):
            raise bad_value("prefix", "the number of tokens before those of positions, at least 0", prefix)
        object.__setattr__(self, "shape", tuple(int(n) for n in shape))
        object.__setattr__(self, "prefix", int(prefix))

    def __repr__(self) -> str:
        """Return the call that makes the grid."""
        sizes = ", ".join(map(str, self.shape))
        return f"TokenGrid({sizes}, prefix={self.prefix})" if self.prefix else f"TokenGrid({sizes})"

    @property
    def count(self) -> int:
        """The number of tokens that stand for positions."""
        return math.prod(self.shape)

    @property
    def end(self) -> int:
        """The index after the last token of a position."""
        return self.prefix + self.count

    def suffix_of(self, count: int) -> int:
        """Return how many of ``count`` tokens come after those of positions; negative if there are too few."""
        return count - self.end

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, as Keras serializes them."""
        return {"shape": list(self.shape), "prefix": self.prefix}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TokenGrid:
        """Return the grid of a config."""
        return cls(*config["shape"], prefix=config["prefix"])
