"""Draw images with their heatmaps beside them, on one figure or on pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from visualcnn_tf.errors import InvalidArgumentError, MissingExtraError
from visualcnn_tf.render.colormaps import color_table
from visualcnn_tf.viz.boxes import Corners
from visualcnn_tf.viz.grid import Box, Floats, Grid, Picture, Row, page_size, plan
from visualcnn_tf.viz.laid_over import laid_over
from visualcnn_tf.viz.look import Look, Palette
from visualcnn_tf.viz.text_size import FONT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

_TALLEST = 500.0  # inches: a taller picture would have too many pixels to be saved
_FRAME, _MISTAKE_FRAME = 0.8, 2.5  # points: the lines around images
_BOX = 1.0  # points: the line around what is explained


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


def draw(rows: Sequence[Row], look: Look) -> Figure:
    """Draw images, each with its heatmaps beside it.

    Raises:
        InvalidArgumentError: They are too many for one figure.
        MissingExtraError: Matplotlib is not installed.
    """
    figure_class = require_matplotlib()
    grid = plan(rows, look)
    if grid.size[1] > _TALLEST:
        raise InvalidArgumentError(
            f"`images` must be few enough for one figure. Received: {len(rows)} images with "
            f"{len(rows[0].heatmaps)} heatmaps each. Draw several figures with `plot_pages`, or some of the "
            "heatmaps (`keys`)."
        )
    figure = figure_class(figsize=grid.size, facecolor=look.palette.background)
    for i, row in enumerate(rows):
        _draw_row(figure, grid, look, i, row)
    _draw_bar(figure, grid.bar(), look)
    return figure


def pages(rows: Sequence[Row], look: Look) -> list[list[Row]]:
    """Split the rows into pages. An image whose heatmaps need several pages is repeated on each."""
    size = page_size(rows, look)
    if size.images > 1:
        return [list(rows[i : i + size.images]) for i in range(0, len(rows), size.images)]
    return [[part] for row in rows for part in parts(row, size.heatmaps)]


def parts(row: Row, count: int) -> list[Row]:
    """Return rows of the same image with up to so many of its heatmaps."""
    return [
        replace(
            row,
            heatmaps=row.heatmaps[start : start + count],
            titles=row.titles[start : start + count],
            boxes=row.boxes[start : start + count],
        )
        for start in range(0, len(row.heatmaps), count)
    ]


def _draw_row(figure: Figure, grid: Grid, look: Look, number: int, row: Row) -> None:
    """Draw an image, its text and its heatmaps."""
    palette = look.palette
    titles = [row.title, *row.titles] if grid.has_titles(number) else [""] * (1 + len(row.titles))
    ax = _panel(figure, grid.box(number, None), titles[0], palette)
    ax.imshow(row.image)
    color = palette.mistake if row.is_wrong else palette.text
    ax.set_ylabel(row.text, fontsize=FONT, rotation=0, ha="right", va="center", color=color, parse_math=False)
    if row.is_wrong:
        _mark_mistake(ax, row, palette)
    for j, heatmap in enumerate(row.heatmaps):
        ax = _panel(figure, grid.box(number, j), titles[j + 1], palette)
        _draw_heatmap(ax, row.image, heatmap, look)
        _draw_box(ax, row.box(j))


def _mark_mistake(ax: Axes, row: Row, palette: Palette) -> None:
    """Frame an image that is predicted wrongly, and color the title that tells it."""
    for spine in ax.spines.values():
        spine.set(color=palette.mistake, linewidth=_MISTAKE_FRAME)
    if not row.text:
        ax.title.set_color(palette.mistake)


def _draw_heatmap(ax: Axes, image: Picture, heatmap: Floats, look: Look) -> None:
    """Draw a heatmap by itself, or over its image."""
    if look.alpha is not None:
        ax.imshow(laid_over(image, [heatmap], look.alpha, look.colormap)[0])
        return
    height, width = image.shape[:2]
    # A map of its layer's own size is stretched over the image's area.
    ax.imshow(heatmap, cmap=_colors(look), vmin=0, vmax=1, extent=(0, width, height, 0))


def _draw_box(ax: Axes, box: Corners | None) -> None:
    """Draw the box that a heatmap explains: a light line on a dark one."""
    if box is None:
        return
    from matplotlib.patches import Rectangle

    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    x, y = (box[0], box[2]), (box[1], box[3])
    left, right = (x0 + n * (x1 - x0) for n in x)
    top, bottom = (y1 + n * (y0 - y1) for n in y)
    for color, width in (("black", 2 * _BOX), ("white", _BOX)):
        patch = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=color, linewidth=width)
        ax.add_patch(patch)


def _draw_bar(figure: Figure, box: Box, look: Look) -> None:
    """Draw the color bar of all heatmaps."""
    from matplotlib.cm import ScalarMappable

    scale = ScalarMappable(cmap=_colors(look))
    scale.set_clim(0, 1)
    bar = figure.colorbar(scale, cax=figure.add_axes(box, label="color bar"), ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    text = look.palette.text
    bar.ax.tick_params(labelsize=FONT, length=2, color=text, labelcolor=text)


def _colors(look: Look) -> ListedColormap:
    """Return the color map for Matplotlib, which does not have all of ours."""
    from matplotlib.colors import ListedColormap

    return ListedColormap(color_table(look.colormap) / 255.0, name=look.colormap)


def _panel(figure: Figure, box: Box, title: str, palette: Palette) -> Axes:
    """Add an empty panel with a title."""
    ax = figure.add_axes(box, xticks=[], yticks=[])
    ax.set_title(title, fontsize=FONT, pad=3, color=palette.text, parse_math=False)  # names may hold dollar signs
    for spine in ax.spines.values():
        spine.set(color=palette.frame, linewidth=_FRAME)
    return ax
