"""The titles above heatmaps: the layer, its size, and the class that is explained."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from visualcnn_tf.heatmap.blank import ALL_ZEROS, is_blank
from visualcnn_tf.pipeline.outputs import COMBINED
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.viz.predictions import Scores, class_name
from visualcnn_tf.viz.short_paths import short_paths

_WIDTH = 18  # characters above a panel


@dataclass(frozen=True)
class Titles:
    """What stands above the heatmaps of some taps.

    Args:
        taps: All taps. The method is part of a title where several methods read the same layer.
        classes: The explained classes, (N,) or (N, scores), None where nothing is explained; negative for no class.
        scores: What the model returned, None where that is no score for each class.
        names: The names of the classes.
        values: The scores of what is explained, (N,) or (N, scores), where the model tells them; None else.
        brief: Whether a class has one line, and no layer is told where all taps read the same one.
    """

    taps: Sequence[Tap]
    classes: ArrayLike | None = None
    scores: Scores | None = None
    names: Sequence[str] | None = None
    values: ArrayLike | None = None
    brief: bool = False

    def of(self, tap: Tap) -> list[str]:
        """Return the titles of the heatmaps of a tap: one for each image where they tell its class, else one for all.

        The layers of nested models are told by what differs between their paths.
        """
        lines, explained = self._layer_lines(tap), self.explained(tap)
        if self.brief:
            explained = [(" ".join(about),) for about in explained]
            lines = [] if explained and len({(one.path, str(one.method)) for one in self.taps}) == 1 else lines
        return ["\n".join([*lines, *about]) for about in explained or [()]]

    def _layer_lines(self, tap: Tap) -> list[str]:
        """Return the lines about the layer that a tap reads, and about its method where several read the same."""
        lines = [_wrapped(self._short[tap.path])]
        if any(other.path == tap.path and str(other.method) != str(tap.method) for other in self.taps):
            lines.append(tap.method.name)
        return [*lines, _size(tap.space)]

    def explained(self, tap: Tap) -> list[tuple[str, ...]]:
        """Return the lines about the class that a tap explains, for each image; none if it explains no class.

        The score of a class is told with it, unless it is the predicted class, whose score stands beside the image.
        """
        if self.classes is None or not tap.method.explains_target:
            return []
        classes = np.reshape(self.classes, (len(np.asarray(self.classes)), -1))
        if self.values is not None:
            found, column = Scores.of(np.reshape(self.values, classes.shape)), tap.target_index
            return [self._of_box(int(row[column]), found.text(image, column)) for image, row in enumerate(classes)]
        return [self._lines(image, int(index)) for image, index in enumerate(classes[:, tap.target_index])]

    def _of_box(self, index: int, score: str) -> tuple[str, ...]:
        """Return the class and the score of a box."""
        return ("no such box",) if index < 0 else (f"for {class_name(index, self.names)}", score)

    def _lines(self, image: int, index: int) -> tuple[str, ...]:
        if index < 0:
            return ("no such class",)
        about, scores = f"for {class_name(index, self.names)}", self.scores
        if scores is None or index >= scores.values.shape[1] or index == scores.values[image].argmax():
            return (about,)
        return about, scores.text(image, index)

    @cached_property
    def _short(self) -> Mapping[str, str]:
        return short_paths((tap.path for tap in self.taps), _WIDTH)


def key_title(key: str, size: Sequence[int]) -> str:
    """Return the title of a heatmap of which only the key in the outputs and its own size are known."""
    name = key.removeprefix(COMBINED).strip("_") or "all layers"
    return f"{_wrapped(name)}\n{_size(size)}"


def mark_blank(titles: Sequence[str], heatmaps: ArrayLike) -> list[str]:
    """Return the titles of a heatmap with a line more for the images that it is all zeros for.

    Args:
        titles: One for each image, or one for all.
        heatmaps: The heatmap of each image.
    """
    blank = is_blank(heatmaps)
    if not blank.any():
        return list(titles)
    each = [titles[i % len(titles)] for i in range(len(blank))]
    return [f"{title}\n{ALL_ZEROS}" if is_zeros else title for title, is_zeros in zip(each, blank, strict=True)]


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
