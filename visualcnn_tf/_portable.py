"""Graphs that are traced to be exported: what is fast in TensorFlow alone is left out of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_portable: ContextVar[bool] = ContextVar("portable", default=False)
_frozen: ContextVar[bool] = ContextVar("frozen", default=False)


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """A graph made in this block runs where nothing is compiled, as on a server or a device."""
    with _set(_portable):
        yield


@contextlib.contextmanager
def frozen() -> Iterator[None]:
    """Variables in a graph made in this block become constants, so what depends on them alone costs nothing."""
    with _set(_frozen):
        yield


def is_portable() -> bool:
    """Whether the graph that is being built is made inside of :func:`portable`."""
    return _portable.get()


def is_frozen() -> bool:
    """Whether the graph that is being built is made inside of :func:`frozen`."""
    return _frozen.get()


@contextlib.contextmanager
def _set(flag: ContextVar[bool]) -> Iterator[None]:
    token = flag.set(True)
    try:
        yield
    finally:
        flag.reset(token)
