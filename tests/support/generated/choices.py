"""Random choices, and what is known of a map while its chain of layers is drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

L = keras.layers


class Draw:
    """A generator of random choices, and of names that occur once.

    Args:
        seed: the same seed makes the same choices.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._counts: Counter[str] = Counter()

    def one(self, *options: Any) -> Any:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """Whether something happens."""
        return bool(self.rng.random() < probability)

    def shuffled(self, things: Sequence[Any]) -> list[Any]:
        """The same in another order."""
        return [things[i] for i in self.rng.permutation(len(things))]

    def name(self, what: str) -> str:
        """A name of this kind that was not there before."""
        self._counts[what] += 1
        return f"{what}_{self._counts[what]}"


@dataclass
class Map:
    """What is known of a map while its chain is drawn.

    Attributes:
        space: its size.
        channels: their number.
    """

    space: tuple[int, ...]
    channels: int

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.space)


def layer_class(name: str, rank: int) -> Any:
    """``keras.layers.<name><rank>D``."""
    return getattr(L, f"{name}{rank}D")
