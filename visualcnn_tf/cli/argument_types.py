"""Types of arguments, beside those in ``parser.py``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


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
