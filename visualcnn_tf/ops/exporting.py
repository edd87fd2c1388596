"""Graphs that are traced to be exported: whatever is fast in TensorFlow alone is left out of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_exporting: ContextVar[bool] = ContextVar("exporting", default=False)
_frozen: ContextVar[bool] = ContextVar("frozen", default=False)


@contextlib.contextmanager
def exporting() -> Iterator[None]:
    """Build graphs in this block that run where nothing is compiled, as on a server or a device."""
    with switched_on(_exporting):
        yield


@contextlib.contextmanager
def frozen_weights() -> Iterator[None]:
    """Build graphs in this block whose variables become constants, so that what depends on them alone costs nothing."""
    with switched_on(_frozen):
        yield


def is_exporting() -> bool:
    """Return whether the graph that is being built is made inside of :func:`exporting`."""
    return _exporting.get()


def freezes_weights() -> bool:
    """Return whether the graph that is being built is made inside of :func:`frozen_weights`."""
    return _frozen.get()


@contextlib.contextmanager
def switched_on(flag: ContextVar[bool]) -> Iterator[None]:
    """Set the flag in this block, and restore what it was before."""
    token = flag.set(True)
    try:
        yield
    finally:
        flag.reset(token)
