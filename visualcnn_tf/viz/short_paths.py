"""Short names of layers in nested models."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile


def short_paths(paths: Iterable[str], width: int) -> dict[str, str]:
    """Return what tells paths of layers from each other; the paths themselves if none is longer than ``width``.

    What all of them begin with is left out, and so is what lies between the first part that differs and the layer's
    own name, if it tells nothing.

    Example:
        >>> short_paths(["net/encoder/block_1/body/conv", "net/encoder/block_2/body/conv"], width=18)
        {'net/encoder/block_1/body/conv': 'block_1/…/conv', 'net/encoder/block_2/body/conv': 'block_2/…/conv'}
    """
    parts = {path: path.split("/") for path in paths}
    if all(len(path) <= width for path in parts):
        return {path: path for path in parts}
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*(part[:-1] for part in parts.values()), strict=False))
    shared = len(list(alike))
    ends = {path: part[shared:] for path, part in parts.items()}
    brief = {path: "/".join(end if len(end) < 3 else [end[0], "…", end[-1]]) for path, end in ends.items()}
    return brief if len(set(brief.values())) == len(brief) else {path: "/".join(end) for path, end in ends.items()}
