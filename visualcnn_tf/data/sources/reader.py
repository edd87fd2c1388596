"""What each kind of source gives: encoded images, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from visualcnn_tf.data.shards import Piece


class Image(NamedTuple):
    """An encoded image.

    Attributes:
        source: The file that holds it.
        source_row: Its number in the file.
        path: Its own name, if it has one.
        content: Its bytes; none if it could not be read.
        error: Why it could not be read.
    """

    source: str
    source_row: int
    path: str | None
    content: bytes
    error: str | None = None


class Reader(Protocol):
    """Reads images; its fields are texts, so that it can be sent to a worker."""

    def read(self, pieces: Iterable[Piece]) -> Iterator[Image]:
        """Yield the images of pieces, in order."""
        ...
