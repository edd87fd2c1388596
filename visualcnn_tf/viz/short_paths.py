"""Short names of layers in nested models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def short_paths(paths: Iterable[str], width: int) -> dict[str, str]:
    """Return what tells paths of layers from each other: paths up to ``width`` as they are, of longer ones the end.

    The end is the shortest that no other path has. What lies between its first part and the layer's own name is left
    out, too, if it tells nothing.

    Example:
        >>> list(short_paths(["net/encoder/a/body/conv", "net/encoder/b/body/conv", "top"], width=18).values())
        ['a/…/conv', 'b/…/conv', 'top']
    """
    known = dict.fromkeys(paths)
    ends = Counter(end for path in known for end in _ends(path))
    short = {
        path: path if len(path) <= width else next((end for end in _ends(path) if ends[end] == 1), path)
        for path in known
    }
    brief = {path: _without_middle(end) if len(path) > width else end for path, end in short.items()}
    taken = Counter(brief.values())
    return {path: brief[path] if taken[brief[path]] == 1 else end for path, end in short.items()}


def _ends(path: str) -> list[str]:
    """Return all that a path ends in, part by part, the shortest first."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in reversed(range(len(parts)))]


def _without_middle(path: str) -> str:
    parts = path.split("/")
    return "/".join([parts[0], "…", parts[-1]]) if len(parts) > 2 else path
