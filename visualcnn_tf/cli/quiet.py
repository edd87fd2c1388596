"""A quiet start: TensorFlow's log messages stay out of the way of what a command prints."""

from __future__ import annotations

import faulthandler
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def quiet_import(verbose: bool = False) -> Iterator[None]:
    """Keep TensorFlow's log off the standard error, for the import of TensorFlow in this context and from then on.

    Python's exceptions are not affected. What is written to the standard error during the import is thrown away, or
    shown after all if the import fails. Nothing is changed where the environment sets ``TF_CPP_MIN_LOG_LEVEL``.

    Args:
        verbose: Whether the log is shown all the same.
    """
    if verbose or _LEVEL in os.environ:
        yield
        return
    os.environ[_LEVEL] = "3"
    # A few libraries inside TensorFlow ignore this level while they are loaded.
    with held_standard_error():
        yield


@contextmanager
def held_standard_error() -> Iterator[None]:
    """Hold back what anything, also code in C++, writes to the standard error; show it only after an exception."""
    try:
        shown = os.dup(2)
    except OSError:  # the standard error is closed
        yield
        return
    enabled = faulthandler.is_enabled()
    with TemporaryFile() as held, os.fdopen(shown, "wb") as screen:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        faulthandler.enable(screen)  # after a crash no Python code is left that could show what was held back
        try:
            yield
        except Exception:
            sys.stderr.flush()
            held.seek(0)
            shutil.copyfileobj(held, screen)
            raise
        finally:
            os.dup2(shown, 2)
            faulthandler.disable()
            if enabled:
                faulthandler.enable()
