"""Cut the images of a source into shards, the units of work: each is explained by one worker and written whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, TypeAlias

#: What comes of a shard: its number, and why it is not done, or None.
Outcome: TypeAlias = tuple[int, str | None]


class Piece(NamedTuple):
    """Images of one file that follow each other.

    Attributes:
        name: The name of the file.
        start: The number of the first of these images in the file.
        rows: How many they are.
        stamp: What would be another number if the file were another one: its size, or a hash.
    """

    name: str
    start: int = 0
    rows: int = 1
    stamp: int = -1


@dataclass(frozen=True)
class Shard:
    """Some of the images.

    Attributes:
        index: The number of the shard.
        first: The row of its first image.
        pieces: The images.
    """

    index: int
    first: int
    pieces: tuple[Piece, ...]

    @property
    def count(self) -> int:
        """How many images it has."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def hash(self) -> str:
        """A number for what the shard is made of."""
        return sha256(self.dump().encode()).hexdigest()[:16]

    def dump(self) -> str:
        """Return the shard as text, as it goes to a worker."""
        return json.dumps([self.index, self.first, self.pieces])

    @classmethod
    def load(cls, text: str) -> Shard:
        """Return the shard that a text stands for."""
        index, first, pieces = json.loads(text)
        return cls(index, first, tuple(Piece(*piece) for piece in pieces))

    def __str__(self) -> str:
        return f"shard {self.index} (rows {self.first} to {self.first + self.count - 1}, from {self.pieces[0].name!r})"


def cut(pieces: Iterable[Piece], rows: int) -> Iterator[Shard]:
    """Yield shards of ``rows`` images each; the last may have fewer.

    They don't end where files end, so that chunks of an array that each hold the rows of a shard are never shared.
    """
    index, room, taken = 0, rows, list[Piece]()
    for piece in pieces:
        start, left = piece.start, piece.rows
        while left:
            count = min(left, room)
            taken.append(piece._replace(start=start, rows=count))
            start, left, room = start + count, left - count, room - count
            if not room:
                yield Shard(index, index * rows, tuple(taken))
                index, room, taken = index + 1, rows, []
    if taken:
        yield Shard(index, index * rows, tuple(taken))
