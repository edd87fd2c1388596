"""The layout of a figure: the position of each panel, in inches.

The sizes of all texts are measured first, so the figure is exactly as large as its content: nothing is clipped or
overlaps. Matplotlib's own layout engines need the size of the figure first, and are slow for hundreds of panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf.viz.boxes import Corners
from visualcnn_tf.viz.look import Look
from visualcnn_tf.viz.text_size import text_height, text_width

_IMAGE = "image"  # the title of an image that has no name
_GAP = 0.08  # inches, as are all sizes below
_BESIDE = 0.2  # between images that stand beside each other
_BAR = 0.12
_BAR_HEIGHT = 2.5
_PAGE_WIDTH, _PAGE_HEIGHT = 18.0, 12.5

Floats: TypeAlias = NDArray[np.floating]
#: RGB floats in [0, 1] or uint8, ``(H, W, 3)``.
Picture: TypeAlias = NDArray[Any]
Box: TypeAlias = tuple[float, float, float, float]  # left, bottom, width and height as fractions of the figure


@dataclass(frozen=True)
class Row:
    """One image with its heatmaps.

    Attributes:
        image: RGB floats in [0, 1] or uint8, ``(H, W, 3)``.
        heatmaps: Floats in [0, 1], ``(h, w)`` each; NaN where the model did not see the image.
        titles: One for each heatmap.
        title: What stands above the image.
        text: What stands to the left of the image.
        is_wrong: Whether the image is predicted wrongly, which its texts tell.
        boxes: The box that each heatmap explains, None where it explains none; nothing for no boxes.
    """

    image: Picture
    heatmaps: Sequence[Floats]
    titles: Sequence[str]
    title: str = _IMAGE
    text: str = ""
    is_wrong: bool = False
    boxes: Sequence[Corners | None] = ()

    def box(self, number: int) -> Corners | None:
        """Return the box that a heatmap explains."""
        return self.boxes[number] if self.boxes else None


class PageSize(NamedTuple):
    """How much there is room for on a page: so many images, each with so many heatmaps."""

    images: int
    heatmaps: int


@dataclass(frozen=True)
class Grid:
    """The positions of all panels. Heatmaps wrap into ``lines`` of ``columns``, to the right of their image.

    The images stand below each other or, where they are many, in bands of several beside each other. Titles stand
    above the first band alone or, where they differ, above every line.

    Attributes:
        panels: Width and height of the panels of each image.
        across: Number of images in a band.
        lines: Number of lines of heatmaps beside each image.
        columns: Number of heatmaps in a line.
        cell: Width of a column: that of the widest panel or title.
        heights: Height of the panels in each band.
        titles: Height of the titles in each band, 0 where there are none.
        label: Width of the texts beside the images.
    """

    panels: tuple[tuple[float, float], ...]
    across: int
    lines: int
    columns: int
    cell: float
    heights: tuple[float, ...]
    titles: tuple[float, ...]
    label: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        return self.across * self.block - _BESIDE + _BAR + 0.45, self._tops[-1] + _GAP

    @property
    def block(self) -> float:
        """Width of an image with its text and heatmaps, and of the space beside it."""
        return self.label + (self.columns + 1) * (self.cell + _GAP) + _BESIDE

    def box(self, row: int, heatmap: int | None) -> Box:
        """Return the panel of a row's image (None) or of one of its heatmaps."""
        line, column = (0, -1) if heatmap is None else divmod(heatmap, self.columns)
        band, block = divmod(row, self.across)
        width, height = self.panels[row]
        left = _GAP + block * self.block + self.label + (column + 1) * (self.cell + _GAP) + (self.cell - width) / 2
        top = self._tops[band] + line * self._line(band) + self.titles[band] + _GAP
        return self._fractions(left, top + height, width, height)

    def bar(self) -> Box:
        """Return the box of the color bar, beside the first band."""
        top = self.titles[0] + _GAP
        end = min(top + _BAR_HEIGHT, self._tops[-1])
        return self._fractions(self.across * self.block - _BESIDE + _GAP, end, _BAR, end - top)

    def has_titles(self, row: int) -> bool:
        """Return whether titles stand above the panels of a row."""
        return self.titles[row // self.across] > 0

    @property
    def _tops(self) -> list[float]:
        """The distances of the bands from the top of the figure, and that of the end of the last one."""
        between = 2 * _GAP if self.lines > 1 else 0.0
        heights = [self.lines * self._line(band) + between for band in range(len(self.heights))]
        *tops, end = accumulate(heights, initial=0.0)
        return [*tops, end - between]

    def _line(self, band: int) -> float:
        """Return the height of a line of panels with the titles and the gap above it."""
        return self.titles[band] + _GAP + self.heights[band]

    def _fractions(self, left: float, bottom: float, width: float, height: float) -> Box:
        """Return a box in inches, measured from the top, as fractions of the figure, measured from the bottom."""
        across, down = self.size
        return left / across, 1 - bottom / down, width / across, height / down


def plan(rows: Sequence[Row], look: Look) -> Grid:
    """Return the grid for some rows in one figure.

    They stand beside each other as far as a page is wide, but only if below each other they would be higher than it.
    """
    most = min(len(rows), _most_across(_grid(rows, look, 1)))
    grids = [_grid(rows, look, across) for across in range(1, most + 1)]
    return next((grid for grid in grids if grid.size[1] <= _PAGE_HEIGHT), grids[-1])


def page_size(rows: Sequence[Row], look: Look) -> PageSize:
    """Return for how many images like these, and for how many heatmaps of each, there is room on a page."""
    grid = _grid(rows, look, 1)
    is_repeated = len(grid.titles) == 1 or grid.titles[-1] > 0
    title = grid.titles[0]
    line = max(grid.heights) + _GAP + (title if is_repeated else 0)
    lines = max(1, int((_PAGE_HEIGHT - (0 if is_repeated else title)) / line))
    if grid.lines <= lines:
        return PageSize(lines // grid.lines * _most_across(grid), len(rows[0].heatmaps))
    return PageSize(1, lines * grid.columns)


def _most_across(grid: Grid) -> int:
    """Return how many images with their heatmaps are as wide as a page."""
    return max(1, int(_PAGE_WIDTH / grid.block))


def _grid(rows: Sequence[Row], look: Look, across: int) -> Grid:
    """Return the grid with so many images in a band."""
    count = len(rows[0].heatmaps)
    lines = ceil(count / look.max_columns)
    panels = [_panel(row, look.panel) for row in rows]
    bands = [slice(start, start + across) for start in range(0, len(rows), across)]
    titles = [text_height([title for row in rows[band] for title in _above(row)]) + _GAP for band in bands]
    if lines == 1 and _share_titles(rows):
        titles[1:] = [0.0] * (len(titles) - 1)
    return Grid(
        panels=tuple(panels),
        across=across,
        lines=lines,
        columns=ceil(count / lines),
        cell=_cell(rows, look),
        heights=tuple(max(height for _, height in panels[band]) for band in bands),
        titles=tuple(titles),
        label=text_width(row.text for row in rows) + _GAP,
    )


def _above(row: Row) -> list[str]:
    """Return the titles of an image and its heatmaps."""
    return [row.title, *row.titles]


def _share_titles(rows: Sequence[Row]) -> bool:
    """Return whether all images have the same titles."""
    return all(_above(row) == _above(rows[0]) for row in rows)


def _cell(rows: Sequence[Row], look: Look) -> float:
    """Return the width of a column."""
    widest = max(_panel(row, look.panel)[0] for row in rows)
    return max(widest, text_width(title for row in rows for title in _above(row)))


def _panel(row: Row, side: float) -> tuple[float, float]:
    """Return width and height of the panel of an image whose longer side is given, as high as the text beside it."""
    height, width = row.image.shape[:2]
    unit = side / max(height, width)
    return width * unit, max(height * unit, text_height([row.text]))
