"""A bar for the images that are done, read from the job's folder: so it is the same for every engine."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Protocol

from visualcnn_tf.data.parts import Parts

_SECONDS, _SECONDS_ELSEWHERE = 1.0, 5.0  # between two looks at the folder, on this machine and in cloud storage


class _Bar(Protocol):
    def show(self, rows: int, errors: int) -> None:
        """Show how many images are done, and how many of them could not be read."""

    def close(self) -> None:
        """End the line."""


class _TqdmBar:
    """The bar of tqdm: rows, images a second, time left, and errors."""

    def __init__(self, rows: int, done: int) -> None:
        from tqdm.auto import tqdm

        # As text it needs a terminal; in a notebook it does not.
        disable = False if "ipykernel" in sys.modules else None
        self._bar = tqdm(total=rows, initial=done, unit=" images", disable=disable)

    def show(self, rows: int, errors: int) -> None:
        self._bar.set_postfix(errors=errors, refresh=False)
        self._bar.update(rows - self._bar.n)

    def close(self) -> None:
        self._bar.close()


class _TextBar:
    """One line of text, on a terminal."""

    def __init__(self, rows: int, done: int) -> None:
        self._rows, self._first, self._start = rows, done, time.monotonic()
        self._is_shown = sys.stderr.isatty()

    def show(self, rows: int, errors: int) -> None:
        if self._is_shown:
            rate = (rows - self._first) / max(time.monotonic() - self._start, 1e-9)
            left = f", {(self._rows - rows) / rate:.0f} s left" if rate else ""
            text = f"{rows:,} of {self._rows:,} images, {rate:.1f} a second, {errors:,} errors{left}"
            sys.stderr.write(f"\r{text:<78}")
            sys.stderr.flush()

    def close(self) -> None:
        if self._is_shown:
            sys.stderr.write("\n")


@contextmanager
def progress(parts: Parts, rows: int, is_local: bool) -> Iterator[None]:
    """Show the progress of a job on the standard error, until the ``with`` block ends.

    Args:
        parts: What is done.
        rows: How many images there are.
        is_local: Whether the job's folder is on this machine.
    """
    bar, ended = _bar(rows, parts.rows), Event()

    def follow() -> None:
        while not ended.wait(_SECONDS if is_local else _SECONDS_ELSEWHERE):
            look()

    def look() -> None:
        try:
            parts.refresh()
        except OSError:  # storage that does not answer for a moment; the job itself will tell if it stays so
            return
        bar.show(parts.rows, parts.errors)

    thread = Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        look()
        bar.close()


def _bar(rows: int, done: int) -> _Bar:
    try:
        return _TqdmBar(rows, done)
    except ImportError:
        return _TextBar(rows, done)
