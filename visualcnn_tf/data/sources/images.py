"""Files of images, each a JPEG, PNG, GIF or BMP file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from visualcnn_tf.data.files import locate
from visualcnn_tf.data.shards import Piece
from visualcnn_tf.data.sources.reader import Image

T = TypeVar("T")
R = TypeVar("R")

# Files read at the same time: on cloud storage each takes 50 ms, whatever its size.
_AHEAD = 16


@dataclass(frozen=True)
class ImageFiles:
    """Reads image files; what can't be read becomes an image with an error.

    Attributes:
        root: The folder that their names start from.
    """

    root: str

    def read(self, pieces: Iterable[Piece]) -> Iterator[Image]:
        """Yield the images of pieces, each of which is a file."""
        folder = locate(self.root)

        def read(piece: Piece) -> Image:
            file = folder / piece.name
            try:
                return Image(file.path, 0, piece.name, file.read())
            except OSError as error:
                return Image(file.path, 0, piece.name, b"", f"{type(error).__name__}: {error.strerror or error}")

        return _read_ahead(read, pieces)


def _read_ahead(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield the results of a function, in order, some of which threads find before they are asked for."""
    with ThreadPoolExecutor(_AHEAD) as threads:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(threads.submit(function, item))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
