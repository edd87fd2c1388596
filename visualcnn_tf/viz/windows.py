"""Pictures in windows, or in files where there is no screen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from math import ceil, sqrt
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf._utils.checks import as_path, bad_value
from visualcnn_tf.errors import MissingExtraError
from visualcnn_tf.io.atomic import write_file
from visualcnn_tf.viz.sizes import scaled
from visualcnn_tf.viz.text_size import FONT, text_width

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100
_TITLE = 24  # pixels above each picture of a figure
_TITLE_FONT = 10  # points
_NUMBER = 3  # letters at the beginning of a title
_GAP = 8  # pixels between its columns
_FILES_ONLY = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")  # Matplotlib's backends without windows


class Tile(NamedTuple):
    """A picture ``(H, W, 3)`` in uint8 with the title above it."""

    title: str
    picture: NDArray[np.uint8]


def show(tiles: Sequence[Tile], width: int | None, path: str | os.PathLike[str] | None) -> None:
    """Draw pictures of one size side by side into a window or a file.

    Where no window can be opened, they are drawn into a temporary file, whose path is printed.

    Args:
        tiles: The pictures.
        width: Of each picture in pixels; None for its own.
        path: The file; None for a window.

    Raises:
        InvalidArgumentError: Matplotlib does not know the ending of ``path``.
        MissingExtraError: Matplotlib is not installed.
    """
    try:
        from matplotlib import figure as matplotlib_figure
    except ImportError as error:
        raise MissingExtraError(
            'Pictures are shown with Matplotlib. Install it with: pip install "visualcnn-tf[plot]"'
        ) from error
    file = None if path is None else as_path("path", path)
    figure = matplotlib_figure.Figure()
    _draw(figure, tiles, width)
    if file is None:
        show_figure(figure, "`path` chooses another file")
    else:
        _save(figure, file)


def show_figure(figure: Figure, advice: str) -> None:
    """Show a figure that was made without pyplot, in a window or below the cell of a notebook.

    Where neither is possible, it is drawn into a temporary file, whose path is printed.

    Args:
        figure: The figure.
        advice: How the user chooses the file, for what is printed.
    """
    if _open_window(figure):
        return
    handle, file = mkstemp(prefix="visualcnn_", suffix=".png")
    os.close(handle)
    _save(figure, Path(file))
    print(f"No window can be opened here. The pictures are in {file} ({advice}).")


def _open_window(figure: Figure) -> bool:
    """Show a figure until its window is closed; return whether there is a screen or a notebook."""
    from matplotlib import get_backend, pyplot

    if get_backend().lower() in _FILES_ONLY:
        return False
    try:
        pyplot.figure(FigureClass=lambda *_, **__: figure)  # pyplot has no other way to take a figure
    except ImportError:  # the chosen backend needs a screen
        return False
    pyplot.show()
    return True


def _save(figure: Figure, file: Path) -> None:
    """Save a figure in the format that the ending of its file name says."""
    content = BytesIO()
    try:
        figure.savefig(content, format=file.suffix[1:] or "png", dpi=_DPI)
    except ValueError as error:  # Matplotlib's answer to a format that it does not know
        raise bad_value("path", "a file that ends in .png, .pdf, .svg or the like", str(file)) from error
    write_file(file, content.getvalue())


def _draw(figure: Figure, tiles: Sequence[Tile], width: int | None) -> None:
    """Fill a figure from left to right and from top to bottom."""
    columns = ceil(sqrt(len(tiles)))
    rows = ceil(len(tiles) / columns)
    height, width = scaled(tiles[0].picture.shape, width)
    down, across = rows * (height + _TITLE), columns * (width + _GAP) - _GAP
    figure.set_dpi(_DPI)
    figure.set_size_inches(across / _DPI, down / _DPI)
    for n, (title, picture) in enumerate(tiles):
        row, column = divmod(n, columns)
        left, bottom = column * (width + _GAP) / across, 1 - (row + 1) / rows
        box = (left, bottom, width / across, height / down)
        ax = figure.add_axes(box, xticks=[], yticks=[], frame_on=False)
        ax.imshow(picture, interpolation="nearest", aspect="auto")
        # A name may hold dollar signs.
        ax.set_title(_fitted(title, width), fontsize=_TITLE_FONT, pad=4, parse_math=False)


def _fitted(title: str, width: int) -> str:
    """Return a title no wider than a picture: its number and its end, if it does not fit."""
    cuts = [title, *(f"{title[:_NUMBER]}…{title[start:]}" for start in range(_NUMBER + 1, len(title)))]
    scale = _DPI * _TITLE_FONT / FONT
    return next((cut for cut in cuts if scale * text_width([cut]) <= width), "")
