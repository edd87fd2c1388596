"""Draw the first picture of the README: canvases of two digits, and the evidence for each of them.

python -m benchmarks.opening
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from benchmarks.composites import SIZE, Composites, held_out, train
from visualcnn_tf.viz.gallery import require_matplotlib
from visualcnn_tf.viz.look import BACKGROUNDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = (0, 2, 7)  # which of the held-out canvases are shown
DPI = 150
SIDE = 6 * SIZE  # height and width of a panel in pixels
COLUMNS = ("image", "an early layer", "the last layer")  # followed by one column for each of the two digits
_PANEL, _GAP, _TITLE, _FONT = 1.5, 0.08, 0.27, 10  # inches, and points


def pictures(model: Any, pairs: Composites) -> list[np.ndarray]:
    """Return the columns ``(N, H, W, 3)``: the images, then the images under each heatmap."""
    large = tf.clip_by_value(tf.image.resize(pairs.images, (SIDE, SIDE), "bicubic"), 0.0, 1.0)
    activations = [layer.name for layer in model.layers if "re_lu" in layer.name]
    activity = vc.attach(model, layers=[activations[0], activations[-1]], size=(SIDE, SIDE))
    heatmaps = list(map(activity.predict(pairs.images, verbose=0).get, activity.heatmap_names))
    evidence = vc.attach(model, layers="last", method="gradcam", target="input", size=(SIDE, SIDE))
    for digit in pairs.digits.T.astype(np.int32):
        outputs = evidence.predict({"image": pairs.images, "class_index": digit}, verbose=0)
        heatmaps.append(outputs[evidence.heatmap_names[0]])
    overlays = [vc.overlay(large, heatmap, alpha=0.85, weighted=True).numpy() for heatmap in heatmaps]
    return [vc.overlay(large, heatmaps[0], alpha=0).numpy(), *overlays]


def draw(model: Any, pairs: Composites) -> Figure:
    """Draw one row for each canvas."""
    palette = BACKGROUNDS["dark"]
    width = (len(COLUMNS) + 2) * (_PANEL + _GAP) + _GAP
    height = len(pairs.images) * (_TITLE + _PANEL) + 2 * _GAP
    figure: Figure = require_matplotlib()(figsize=(width, height), facecolor=palette.background)
    for column, shown in enumerate(pictures(model, pairs)):
        for row, picture in enumerate(shown):
            left, bottom = _GAP + column * (_PANEL + _GAP), height - _GAP - (row + 1) * (_TITLE + _PANEL)
            rectangle = (left / width, bottom / height, _PANEL / width, _PANEL / height)
            axes = figure.add_axes(rectangle, xticks=[], yticks=[], frame_on=False)
            axes.imshow(picture)
            axes.set_title(_title(row, column, pairs), fontsize=_FONT, color=palette.text, pad=4)
    return figure


def _title(row: int, column: int, pairs: Composites) -> str:
    if column < len(COLUMNS):
        return "" if row else COLUMNS[column]
    return f"where is the {pairs.digits[row, column - len(COLUMNS)]}?"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the network and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.opening", description=__doc__)
    parser.add_argument("--epochs", type=int, default=10, help="epochs of training; default: %(default)s")
    parser.add_argument("--count", type=int, default=2048, help="canvases in each epoch; default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "opening.png")
    options = parser.parse_args(arguments)
    model = train("global pooling", epochs=options.epochs, count=options.count)
    pairs = Composites(*(part[list(ROWS)] for part in held_out(max(ROWS) + 1)))
    draw(model, pairs).savefig(options.out, dpi=DPI)


if __name__ == "__main__":
    main()
