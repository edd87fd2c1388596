"""Graphs that are traced to be exported: what is fast in TensorFlow alone is left out of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_exporting: ContextVar[bool] = ContextVar("portable", default=False)
_frozen: ContextVar[bool] = ContextVar("frozen", default=False)


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """A graph made in this block runs where nothing is compiled, as on a server or a device."""
    with switched_on(_exporting):
        yield


@contextlib.contextmanager
def frozen_weights() -> Iterator[None]:
    """Variables in a graph made in this block become constants, so what depends on them alone costs nothing."""
    with switched_on(_frozen):
        yield


def is_exporting() -> bool:
    """Whether the graph that is being built is made inside of :func:`portable`."""
    return _exporting.get()


def freezes_weights() -> bool:
    """Whether the graph that is being built is made inside of :func:`frozen`."""
    return _frozen.get()


@contextlib.contextmanager
def switched_on(flag: ContextVar[bool]) -> Iterator[None]:
    """The flag is True in this block, and what it was before after it."""
    token = flag.set(True)
    try:
        yield
    finally:
        flag.reset(token)
