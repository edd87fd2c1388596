"""How large texts are drawn, measured before there is a figure to draw them in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

FONT = 8  # points
LINE = 1.25 * FONT / 72  # inches


def text_height(texts: Sequence[str]) -> float:
    """Return the height of the tallest text in inches."""
    return max(text.count("\n") + 1 for text in texts) * LINE


def text_width(texts: Iterable[str]) -> float:
    """Return the width of the widest line in inches. Needs Matplotlib."""
    lines = {line for text in texts for line in text.split("\n") if line.strip()}
    return max(map(_line_width, lines), default=0.0) + 0.04


@lru_cache(maxsize=4096)
def _line_width(line: str) -> float:
    from matplotlib.textpath import TextPath

    # The points of the curves, some of them just outside, where `get_extents` takes 20 ms for the curves themselves.
    return float(TextPath((0, 0), line.replace("$", r"\$"), size=FONT).vertices[:, 0].max()) / 72
