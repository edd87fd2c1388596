"""Sizes of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil


def scaled(size: Sequence[int], width: int | None) -> tuple[int, int]:
    """Return height and width of an image (H, W, …) resized to ``width``; its own size for None."""
    return (size[0], size[1]) if width is None else (max(1, round(width * size[0] / size[1])), width)


def legible_size(shape: Sequence[int], smallest: int) -> tuple[int, int]:
    """Return the size of an image (H, W, …) enlarged by the least whole factor that makes a side ``smallest``."""
    factor = ceil(smallest / max(shape[:2]))
    return shape[0] * factor, shape[1] * factor
