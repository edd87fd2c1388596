"""Pictures side by side, each with a caption, under one heading."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from math import ceil

from visualcnn_tf.viz.gallery import require_matplotlib
from visualcnn_tf.viz.text_size import FONT, LINE, text_height, text_width
from visualcnn_tf.viz.windows import Tile

_DPI = 128  # a power of two, so that pixels divided by it are exact
_GAP = 8  # pixels, between pictures and around them


def draw_strip(tiles: Sequence[Tile], heading: str) -> bytes:
    """Return a PNG file with pictures of one size, pixel by pixel, and the title of each above it.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    figure_class = require_matplotlib()
    titles = [tile.title for tile in tiles]
    height, width, _ = tiles[0].picture.shape
    column = max(width, ceil(text_width(titles) * _DPI)) + _GAP
    top = _GAP + ceil(1.5 * LINE * _DPI) + ceil(text_height(titles) * _DPI)
    across = max(_GAP + column * len(tiles), ceil(text_width([heading]) * _DPI) + 2 * _GAP)
    down = top + _GAP // 2 + height + _GAP
    figure = figure_class(figsize=(across / _DPI, down / _DPI), dpi=_DPI, facecolor="white")
    figure.text(_GAP / across, 1 - _GAP / down, heading, fontsize=FONT, va="top", parse_math=False)
    for n, (title, picture) in enumerate(tiles):
        box = ((_GAP + n * column) / across, _GAP / down, width / across, height / down)
        ax = figure.add_axes(box, xticks=[], yticks=[], frame_on=False)
        ax.imshow(picture, interpolation="nearest", aspect="auto")
        ax.set_title(title, fontsize=FONT, pad=3, loc="left", color="black", parse_math=False)
    figure.savefig(content := BytesIO(), format="png", dpi=_DPI)
    return content.getvalue()
