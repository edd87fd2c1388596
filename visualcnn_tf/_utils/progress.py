"""A progress bar in plain text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

T = TypeVar("T")

_WIDTH = 30


def progress(items: Iterable[T], total: int, stream: TextIO | None = None) -> Iterator[T]:
    """Yield the items, and count them on ``stream`` (by default the standard error) if that is a terminal."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield from items
        return
    try:
        for done, item in enumerate(items, 1):
            yield item
            bar = "#" * (_WIDTH * done // max(total, 1))
            stream.write(f"\r[{bar:<{_WIDTH}}] {done}/{total}")
            stream.flush()
    finally:
        stream.write("\n")
