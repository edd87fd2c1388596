"""The titles above heatmaps: the layer, its size, and the class that is explained."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from visualcnn_tf.pipeline.outputs import COMBINED
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.viz.predictions import class_name

_WIDTH = 18  # characters above a panel


def tap_titles(tap: Tap, taps: Sequence[Tap], classes: ArrayLike | None, names: Sequence[str] | None) -> list[str]:
    """Return the titles of the heatmaps of a tap: one for each image where they tell its class, else one for all.

    Args:
        tap: The tap.
        taps: All taps. The method is part of the title where several methods read the same layer.
        classes: The explained classes, (N,) or (N, scores), None where nothing is explained; negative for no class.
        names: The names of the classes.
    """
    lines = [_wrapped(tap.path)]
    if any(other.path == tap.path and str(other.method) != str(tap.method) for other in taps):
        lines.append(tap.method.name)
    lines.append(_size(tap.space))
    if classes is None or not tap.method.explains_target:
        return ["\n".join(lines)]
    explained = np.reshape(classes, (len(np.asarray(classes)), -1))[:, tap.target_index]
    return ["\n".join([*lines, _of_class(int(index), names)]) for index in explained]


def key_title(key: str, size: Sequence[int]) -> str:
    """Return the title of a heatmap of which only the key in the outputs and its own size are known."""
    name = key.removeprefix(COMBINED).strip("_") or "all layers"
    return f"{_wrapped(name)}\n{_size(size)}"


def _of_class(index: int, names: Sequence[str] | None) -> str:
    return "no such class" if index < 0 else f"for {class_name(index, names)}"


def _size(size: Sequence[int | None]) -> str:
    """Return a size such as ``28×28``, with ``?`` for what is unknown."""
    return "×".join("?" if n is None else str(n) for n in size)


def _wrapped(name: str) -> str:
    """Break a long layer name after ``/`` and ``_`` so that it fits above a panel."""
    lines = [""]
    for part in re.findall(r"[^/_]*[/_]?", name):
        if lines[-1] and len(lines[-1]) + len(part) > _WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
