"""Patterns for the paths of layers, ``"conv_*"`` or ``"backbone/*/relu"``."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from visualcnn_tf._utils.checks import quoted
from visualcnn_tf.errors import LayerNotFoundError


def matches(pattern: str, path: str) -> bool:
    """Return whether a pattern matches a layer's path or, when it has no ``/``, the layer's own name."""
    return fnmatch.fnmatchcase(path, pattern) or (
        "/" not in pattern and fnmatch.fnmatchcase(path.split("/")[-1], pattern)
    )


def value_per_path(value: Any, paths: Sequence[str], default: Any, argument: str) -> list[Any]:
    """Return a value for each path: one for all, or that of the first pattern of a dict that matches.

    Args:
        value: a value, or a dict of values by pattern.
        paths: the paths of the tapped layers.
        default: the value of paths that no pattern of the dict matches.
        argument: what the caller calls ``value``, for the error.

    Raises:
        LayerNotFoundError: for a pattern that matches no path.
    """
    if not isinstance(value, Mapping):
        return [value] * len(paths)
    for pattern in value:
        if not isinstance(pattern, str) or not any(matches(pattern, path) for path in paths):
            raise LayerNotFoundError(
                f"`{argument}` patterns must match tapped layers. Received: {pattern!r}, which matches none of "
                f"{quoted(paths)}."
            )
    return [next((value[pattern] for pattern in value if matches(pattern, path)), default) for path in paths]
