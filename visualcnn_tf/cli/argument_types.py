"""Types of arguments: from words of the command line to values."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from visualcnn_tf._utils.checks import did_you_mean, quoted


def number_from(lowest: int) -> Callable[[str], float]:
    """Return a type of arguments: numbers from ``lowest`` to 1."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= 1:
            raise argparse.ArgumentTypeError(f"must be a number from {lowest} to 1. Received: {text!r}.")
        return value

    return number


def opacity(text: str) -> float | None:
    """Return an opacity from 0 to 1, or None for ``none``."""
    return None if text == "none" else number_from(0)(text)


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Return a type of arguments; what is not one of these names is answered with those that look like it."""

    def choice(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"must be one of {quoted(names)}. Received: {text!r}.{did_you_mean(text, names)}"
            )
        return text

    return choice


def listed(names: Sequence[str]) -> str:
    """Return names as a help text lists them."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


def path(text: str) -> Path:
    """Return a path."""
    if not text:  # a shell variable that is not set: it would mean the current folder
        raise argparse.ArgumentTypeError("must not be empty")
    return Path(text)


def number_or_text(text: str) -> str | int:
    """Return a layer or a class; what looks like a number is an index."""
    try:
        return int(text)
    except ValueError:
        return text
