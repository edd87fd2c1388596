"""Graphs that are traced to be exported: what is fast in TensorFlow alone is left out of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_portable: ContextVar[bool] = ContextVar("portable", default=False)


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """A graph made in this block runs on a server that compiles nothing, and converts well for a device."""
    token = _portable.set(True)
    try:
        yield
    finally:
        _portable.reset(token)


def is_portable() -> bool:
    """Whether the graph that is being built is made inside of :func:`portable`."""
    return _portable.get()
