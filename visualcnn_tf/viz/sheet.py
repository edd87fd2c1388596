"""Draw a page of photos as one picture with texts on it: hundreds of panels with axes would take minutes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf.render.overlay import colorize
from visualcnn_tf.viz.boxes import with_box
from visualcnn_tf.viz.gallery import require_matplotlib
from visualcnn_tf.viz.grid import Box, Grid, Picture, Row, plan
from visualcnn_tf.viz.laid_over import laid_over
from visualcnn_tf.viz.look import Look
from visualcnn_tf.viz.text_size import FONT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PAD = 3 / 72  # inches, below titles and beside the color bar
_MISTAKE_FRAME = 0.03  # inches

Canvas = NDArray[np.uint8]


def draw_sheet(rows: Sequence[Row], look: Look) -> Figure:
    """Draw photos, each with its heatmaps beside it.

    Args:
        rows: Their pictures have as many pixels as their panels at ``look.dpi``, and so have their heatmaps.
        look: Colors, opacity, sizes.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    figure_class = require_matplotlib()
    grid, palette = plan(rows, look), look.palette
    width, height = (round(side * look.dpi) for side in grid.size)
    figure = figure_class(figsize=(width / look.dpi, height / look.dpi), dpi=look.dpi, facecolor=palette.background)
    canvas = np.full((height, width, 3), _rgb(palette.background), np.uint8)
    for i, row in enumerate(rows):
        _paint_row(canvas, grid, look, i, row)
        _write_titles(figure, grid, look, i, rows)
    _paint_bar(canvas, figure, grid.bar(), look)
    _lay(figure, canvas)
    return figure


def _paint_row(canvas: Canvas, grid: Grid, look: Look, number: int, row: Row) -> None:
    """Paint a photo and its heatmaps."""
    palette = look.palette
    thick = max(2, round(_MISTAKE_FRAME * look.dpi))
    frame = (thick, palette.mistake) if row.is_wrong else (1, palette.frame)
    _paint(canvas, grid.box(number, None), row.image, *frame)
    for j, picture in enumerate(_pictures(row, look)):
        _paint(canvas, grid.box(number, j), with_box(picture, row.box(j)), 1, palette.frame)


def _pictures(row: Row, look: Look) -> Picture:
    """Return heatmaps over their photo, or by themselves on the background."""
    if look.alpha is not None:
        return laid_over(row.image, row.heatmaps, look.alpha, look.colormap)
    heatmaps = np.stack(row.heatmaps)
    colors = colorize(heatmaps, look.colormap).numpy()
    return np.where(np.isnan(heatmaps)[..., None], _rgb(look.palette.background), colors)


def _paint(canvas: Canvas, box: Box, picture: Picture, thick: int, color: str) -> None:
    """Paint a picture into the middle of a box, and a frame around it."""
    height, width = picture.shape[:2]
    left, bottom, across, up = box
    x = round((left + across / 2) * canvas.shape[1] - width / 2)
    y = round((1 - bottom - up / 2) * canvas.shape[0] - height / 2)
    canvas[y - thick : y + height + thick, x - thick : x + width + thick] = _rgb(color)
    canvas[y : y + height, x : x + width] = picture


def _write_titles(figure: Figure, grid: Grid, look: Look, number: int, rows: Sequence[Row]) -> None:
    """Write the titles of a photo and its heatmaps, but for those that stand above the photo above it, too."""
    palette, height, row = look.palette, grid.size[1], rows[number]
    above = rows[number - grid.across].titles if number >= grid.across and grid.lines == 1 else [""] * len(row.titles)
    for j, (title, last) in enumerate(zip([row.title, *row.titles], ["", *above], strict=True)):
        if title == last:
            continue
        left, bottom, across, up = grid.box(number, j - 1 if j else None)
        color = palette.mistake if row.is_wrong and not j else palette.text
        place = left + across / 2, bottom + up + _PAD / height
        figure.text(*place, title, fontsize=FONT, ha="center", va="bottom", color=color, parse_math=False)


def _paint_bar(canvas: Canvas, figure: Figure, box: Box, look: Look) -> None:
    """Paint the color bar into a box, and write the values at its ends and in its middle."""
    left, bottom, across, up = box
    height, width = canvas.shape[:2]
    size = round(up * height), round(across * width)
    colors = colorize(np.linspace(1, 0, size[0], dtype=np.float32), look.colormap).numpy()
    top, start = round((1 - bottom - up) * height), round(left * width)
    canvas[top : top + size[0], start : start + size[1]] = colors[:, np.newaxis]
    for value in (0.0, 0.5, 1.0):
        place = left + across + _PAD * look.dpi / width, bottom + value * up
        figure.text(*place, str(value), fontsize=FONT, va="center", color=look.palette.text)


def _lay(figure: Figure, canvas: Canvas) -> None:
    """Lay the canvas under all texts of a figure."""
    from visualcnn_tf.viz.canvas_image import CanvasImage

    image = CanvasImage(figure.bbox, zorder=-1)
    image.set_data(np.dstack([canvas, np.full(canvas.shape[:2], 255, np.uint8)]))
    figure.add_artist(image)


def _rgb(color: str) -> NDArray[np.uint8]:
    from matplotlib.colors import to_rgb

    return np.asarray(np.round(np.multiply(to_rgb(color), 255)), np.uint8)
