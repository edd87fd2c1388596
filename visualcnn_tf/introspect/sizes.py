"""Spatial sizes of feature maps, and how they compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

#: A spatial shape, ``(h, w)``, with None where unknown.
Space: TypeAlias = tuple[int | None, ...]

#: From this ratio between the sizes of two maps on, they belong to different resolutions; a convolution with
#: padding="valid", which trims the border, does not start a new one.
NEW_RESOLUTION = 1.5


def space_of(shape: Sequence[int | None], data_format: str) -> Space:
    """Return the spatial shape of the shape of a batch of maps, () for that of vectors."""
    return tuple(shape[2:] if data_format == "channels_first" else shape[1:-1])


def is_map(space: Sequence[int | None]) -> bool:
    """Return whether a spatial shape has more than one position."""
    return any(n is None or n > 1 for n in space)


def largest_ratio(before: Sequence[int | None], after: Sequence[int | None]) -> float:
    """Return the ratio of sizes along the axis on which it is farthest from 1."""
    ratios = [m / n for m, n in zip(before, after, strict=True) if m and n]
    return max(ratios, key=lambda ratio: max(ratio, 1 / ratio), default=1.0)


def has_aspect_of(space: Sequence[int | None], image: Sequence[int | None]) -> bool:
    """Return whether a map may be one of an image: of as many axes, all about equally much smaller."""
    if len(space) != len(image):
        return False
    ratios = [m / n for m, n in zip(image, space, strict=True) if m and n]
    return not ratios or max(ratios) < NEW_RESOLUTION * min(ratios)


def covers(space: Sequence[int | None], image: Sequence[int | None]) -> bool:
    """Return whether a map is known to be at least as large as an image."""
    if len(space) != len(image):
        return False
    return all(n is not None and m is not None and n >= m for n, m in zip(space, image, strict=True))
