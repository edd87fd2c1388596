"""Pictures of canvases with two digits, and of the maps of these digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.composites import BOX, Composites
from visualcnn_tf.viz.gallery import require_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES = 6
DPI = 150
#: The methods that are compared, and their titles.
METHODS = {"deviation": "deviation", "gradcam": "Grad-CAM", "layercam": "LayerCAM", "reciprocam": "Recipro-CAM"}
_COLORMAP = "inferno"  # dark, so that the white outlines of the digits stand out
_COLORS = ("#4cc9f0", "#b5e48c")  # of the boxes of the first and the second digit
_PANEL, _GAP, _TITLE, _FONT = 1.35, 0.07, 0.24, 9  # inches, and points
_SHOWN = 1  # the canvas that all methods are shown on


def examples(pairs: Composites, maps: Sequence[np.ndarray]) -> Figure:
    """Draw canvases, two in a row, each with the maps of its first and its second digit."""
    figure = _Panels(rows=(EXAMPLES + 1) // 2, columns=6, gaps={3: 3 * _GAP})
    for i in range(EXAMPLES):
        row, left = i // 2, 3 * (i % 2)
        figure.image(row, left, pairs, i, (0, 1), "image")
        for digit in (0, 1):
            title = f"evidence for {pairs.digits[i, digit]}"
            figure.heatmap(row, left + 1 + digit, maps[digit][i], pairs, i, digit, title)
    return figure.figure


def methods(pairs: Composites, maps: Sequence[Mapping[str, np.ndarray]]) -> Figure:
    """Draw one canvas with the maps of its first and its second digit by each method."""
    figure = _Panels(rows=2, columns=1 + len(METHODS), gaps={1: 3 * _GAP}, label=0.75)
    for digit in (0, 1):
        label = f"“where is\nthe {pairs.digits[_SHOWN, digit]}?”"
        figure.image(digit, 0, pairs, _SHOWN, (digit,), "" if digit else "image", label)
        for column, (method, name) in enumerate(METHODS.items(), start=1):
            found = maps[digit][method][_SHOWN]
            figure.heatmap(digit, column, found, pairs, _SHOWN, digit, "" if digit else name)
    return figure.figure


class _Panels:
    """A figure of panels of equal size, without margins."""

    def __init__(self, rows: int, columns: int, gaps: Mapping[int, float], label: float = 0.0) -> None:
        self.gaps, self.label = gaps, label
        self.width = self._left(columns - 1) + _PANEL + _GAP
        self.height = rows * (_PANEL + _TITLE) + _GAP
        self.figure: Figure = require_matplotlib()(figsize=(self.width, self.height))

    def image(
        self, row: int, column: int, pairs: Composites, i: int, boxes: Sequence[int], title: str, label: str = ""
    ) -> None:
        """Draw a canvas with the boxes of some of its digits."""
        axes = self._axes(row, column, title)
        axes.imshow(pairs.images[i, ..., 0], cmap="gray", vmin=0, vmax=1)
        axes.set_ylabel(label, fontsize=_FONT, rotation=0, ha="right", va="center")
        for digit in boxes:
            _box(axes, pairs, i, digit)

    def heatmap(
        self, row: int, column: int, heatmap: np.ndarray, pairs: Composites, i: int, digit: int, title: str
    ) -> None:
        """Draw the map of a digit, the outlines of both digits, and the explained digit's box."""
        axes = self._axes(row, column, title)
        axes.imshow(heatmap, cmap=_COLORMAP, vmin=0, vmax=1)
        axes.contour(pairs.images[i, ..., 0], levels=[0.5], colors="white", linewidths=0.5, alpha=0.7)
        _box(axes, pairs, i, digit)

    def _axes(self, row: int, column: int, title: str) -> Any:
        bottom = 1 - (row + 1) * (_PANEL + _TITLE) / self.height
        rectangle = (self._left(column) / self.width, bottom, _PANEL / self.width, _PANEL / self.height)
        axes = self.figure.add_axes(rectangle, xticks=[], yticks=[])
        axes.set_title(title, fontsize=_FONT, pad=3)
        return axes

    def _left(self, column: int) -> float:
        extra = sum(gap for before, gap in self.gaps.items() if column >= before)
        return _GAP + self.label + column * (_PANEL + _GAP) + extra


def _box(axes: Any, pairs: Composites, i: int, digit: int) -> None:
    from matplotlib.patches import Rectangle

    top, left = pairs.corners[i, digit] - 0.5
    box = Rectangle((left, top), BOX, BOX, fill=False, edgecolor=_COLORS[digit], linewidth=1.2)
    box.set_clip_on(False)  # half of a line at the border of the canvas lies outside it
    axes.add_patch(box)
