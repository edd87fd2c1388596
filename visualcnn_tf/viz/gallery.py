"""The figure behind ``plot_heatmaps``: the position of each panel, in inches, and its drawing.

The sizes of all texts are measured first, so the figure is exactly as large as its content: nothing is clipped or
overlaps. Matplotlib's own layout engines need the size of the figure first, and are slow for hundreds of panels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf.errors import InvalidArgumentError, MissingExtraError
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP
from visualcnn_tf.viz.text_size import FONT, text_height, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_IMAGE = "image"  # the title of the images
_PANEL = 1.5  # inches, as are all sizes below: the longer side of an image
_GAP = 0.08
_BAR = 0.12
_BAR_HEIGHT = 2.5
_TALLEST = 500.0  # a taller picture would have too many pixels to be saved
_PAGE = 45.0  # the height of a page, 6750 pixels at 150 per inch: four images with 60 heatmaps each

Floats = NDArray[np.floating]
Box = tuple[float, float, float, float]  # left, bottom, width and height as fractions of the figure


@dataclass(frozen=True)
class Palette:
    """Colors of the background, of texts, of the frames of panels, and of the text beside a wrong prediction."""

    background: str
    text: str
    frame: str
    mistake: str


BACKGROUNDS = {
    "light": Palette("white", "black", "black", "firebrick"),
    "dark": Palette("#14171c", "#e8ebf0", "#565e6c", "#ff9d94"),
}


@dataclass(frozen=True)
class Row:
    """One image with its heatmaps.

    Attributes:
        image: RGB floats in [0, 1], ``(H, W, 3)``.
        heatmaps: Floats in [0, 1], ``(h, w)`` each.
        titles: One for each heatmap.
        text: What stands to the left of the image.
        is_wrong: Whether the text is about a wrong prediction.
    """

    image: Floats
    heatmaps: Sequence[Floats]
    titles: Sequence[str]
    text: str
    is_wrong: bool = False


@dataclass(frozen=True)
class Grid:
    """The positions of all panels. Heatmaps wrap into ``lines`` of ``columns``, to the right of their image.

    Titles stand above the first row alone, or above every line where they are ``repeated``.

    Attributes:
        rows: Number of images.
        lines: Number of lines of heatmaps beside each image.
        columns: Number of heatmaps in a line.
        panel: Width and height of a panel.
        cell: Width of a column: that of a panel or of the widest title.
        title: Height of the titles.
        label: Width of the texts beside the images.
        repeated: Whether titles stand above every line.
    """

    rows: int
    lines: int
    columns: int
    panel: tuple[float, float]
    cell: float
    title: float
    label: float
    repeated: bool

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        width = self._x(self.columns) + self.cell + _BAR + 0.45
        return width, self._bottom(self.rows - 1, self.lines - 1) + _GAP

    def box(self, row: int, heatmap: int | None) -> Box:
        """Return the panel of a row's image (None) or of one of its heatmaps."""
        line, column = (0, 0) if heatmap is None else divmod(heatmap, self.columns)
        left = self._x(column + (heatmap is not None)) + (self.cell - self.panel[0]) / 2
        return self._fractions(left, self._bottom(row, line), *self.panel)

    def bar(self) -> Box:
        """Return the box of the color bar, beside the first row."""
        end = min(self.title + _GAP + _BAR_HEIGHT, self._bottom(self.rows - 1, self.lines - 1))
        return self._fractions(self._x(self.columns + 1), end, _BAR, end - self.title - _GAP)

    def has_titles(self, row: int) -> bool:
        """Return whether titles stand above the panels of a row."""
        return row == 0 or self.repeated

    def _x(self, column: int) -> float:
        """Return the left edge of a column; column 0 is that of the images."""
        return _GAP + self.label + column * (self.cell + _GAP)

    def _bottom(self, row: int, line: int) -> float:
        """Return the distance of a panel's lower edge from the top of the figure."""
        above = row * self.lines + line
        titles = above + 1 if self.repeated else 1
        separators = 2 * _GAP * row if self.lines > 1 else 0.0
        return titles * self.title + (above + 1) * (self.panel[1] + _GAP) + separators

    def _fractions(self, left: float, bottom: float, width: float, height: float) -> Box:
        """Return a box in inches, measured from the top, as fractions of the figure, measured from the bottom."""
        across, down = self.size
        return left / across, 1 - bottom / down, width / across, height / down


def require_matplotlib() -> type[Figure]:
    """Return the class of figures, which notebooks show.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            'Pictures are drawn with Matplotlib. Install it with: pip install "visualcnn-tf[plot]"'
        ) from error
    from visualcnn_tf.viz.notebook_figure import NotebookFigure

    return NotebookFigure


def draw(rows: Sequence[Row], max_columns: int, background: str) -> Figure:
    """Draw the rows below each other.

    Raises:
        InvalidArgumentError: They are too many for one figure.
        MissingExtraError: Matplotlib is not installed.
    """
    figure_class = require_matplotlib()
    grid, palette = _plan(rows, max_columns), BACKGROUNDS[background]
    if grid.size[1] > _TALLEST:
        raise InvalidArgumentError(
            f"`images` must be few enough for one figure. Received: {len(rows)} images with "
            f"{len(rows[0].heatmaps)} heatmaps each. Draw several figures with `plot_pages`, or some of the "
            "heatmaps (`keys`)."
        )
    figure = figure_class(figsize=grid.size, facecolor=palette.background)
    for i, row in enumerate(rows):
        shown = _draw_row(figure, grid, palette, i, row)
    bar = figure.colorbar(shown, cax=figure.add_axes(grid.bar(), label="color bar"), ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=FONT, length=2, color=palette.text, labelcolor=palette.text)
    return figure


def pages(rows: Sequence[Row], max_columns: int) -> list[list[Row]]:
    """Split the rows into pages. An image whose heatmaps need several pages is repeated on each."""
    grid = _plan(rows, max_columns)
    lines = max(1, int(_PAGE / (grid.panel[1] + _GAP + (grid.title if grid.repeated else 0))))
    if grid.lines <= lines:
        count = lines // grid.lines
        return [list(rows[i : i + count]) for i in range(0, len(rows), count)]
    count = lines * grid.columns
    return [[_part(row, i, i + count)] for row in rows for i in range(0, len(row.heatmaps), count)]


def _part(row: Row, start: int, stop: int) -> Row:
    """Return a row with some of its heatmaps."""
    return replace(row, heatmaps=row.heatmaps[start:stop], titles=row.titles[start:stop])


def _draw_row(figure: Figure, grid: Grid, palette: Palette, number: int, row: Row) -> AxesImage:
    """Draw an image, its text and its heatmaps; return the last heatmap as drawn, for the color bar."""
    titles = [_IMAGE, *row.titles] if grid.has_titles(number) else [""] * (1 + len(row.titles))
    ax = _panel(figure, grid.box(number, None), titles[0], palette)
    ax.imshow(row.image)
    color = palette.mistake if row.is_wrong else palette.text
    ax.set_ylabel(row.text, fontsize=FONT, rotation=0, ha="right", va="center", color=color, parse_math=False)
    height, width = row.image.shape[:2]
    for j, heatmap in enumerate(row.heatmaps):
        ax = _panel(figure, grid.box(number, j), titles[j + 1], palette)
        # A map of its layer's own size is stretched over the image's area.
        shown = ax.imshow(heatmap, cmap=DEFAULT_COLORMAP, vmin=0, vmax=1, extent=(0, width, height, 0))
    return shown


def _plan(rows: Sequence[Row], max_columns: int) -> Grid:
    """Return the grid that the rows need."""
    count = len(rows[0].heatmaps)
    lines = ceil(count / max_columns)
    titles = [_IMAGE, *(title for row in rows for title in row.titles)]
    height, width = rows[0].image.shape[:2]
    unit = _PANEL / max(height, width)
    texts = [row.text for row in rows]
    return Grid(
        rows=len(rows),
        lines=lines,
        columns=ceil(count / lines),
        panel=(width * unit, max(height * unit, text_height(texts))),
        cell=max(width * unit, text_width(titles)),
        title=text_height(titles) + _GAP,
        label=text_width(texts) + _GAP,
        repeated=lines > 1 or any(row.titles != rows[0].titles for row in rows),
    )


def _panel(figure: Figure, box: Box, title: str, palette: Palette) -> Axes:
    """Add an empty panel with a title."""
    ax = figure.add_axes(box, xticks=[], yticks=[])
    ax.set_title(title, fontsize=FONT, pad=3, color=palette.text, parse_math=False)  # names may hold dollar signs
    for spine in ax.spines.values():
        spine.set_color(palette.frame)
    return ax
