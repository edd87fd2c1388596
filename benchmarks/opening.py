"""The picture that the README opens with: one network, asked for each of the two digits on a canvas.

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
from visualcnn_tf.viz.gallery import BACKGROUNDS, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = (0, 2, 7)  # of the held-out canvases
DPI = 150
SIDE = 6 * SIZE  # pixels of a panel
COLUMNS = ("image", "an early layer", "the last layer")  # then one for each of the two digits
_PANEL, _GAP, _TITLE, _FONT = 1.5, 0.08, 0.27, 10  # inches, and points


def pictures(model: Any, pairs: Composites) -> list[np.ndarray]:
    """One column after the other, ``(N, H, W, 3)``: the image, and what lies over it."""
    large = tf.clip_by_value(tf.image.resize(pairs.images, (SIDE, SIDE), "bicubic"), 0.0, 1.0)
    activations = [layer.name for layer in model.layers if "re_lu" in layer.name]
    seen = vc.attach(model, layers=[activations[0], activations[-1]], size=(SIDE, SIDE))
    heatmaps = list(map(seen.predict(pairs.images, verbose=0).get, seen.heatmap_names))
    ask = vc.attach(model, layers="last", method="gradcam", target="input", size=(SIDE, SIDE))
    for digit in pairs.digits.T.astype(np.int32):
        outputs = ask.predict({"image": pairs.images, "class_index": digit}, verbose=0)
        heatmaps.append(outputs[ask.heatmap_names[0]])
    overlays = [vc.overlay(large, heatmap, alpha=0.85, weighted=True).numpy() for heatmap in heatmaps]
    return [vc.overlay(large, heatmaps[0], alpha=0).numpy(), *overlays]


def draw(model: Any, pairs: Composites) -> Figure:
    """One row for each canvas."""
    palette = BACKGROUNDS["dark"]
    width = (len(COLUMNS) + 2) * (_PANEL + _GAP) + _GAP
    height = len(pairs.images) * (_TITLE + _PANEL) + 2 * _GAP
    figure: Figure = require_matplotlib()(figsize=(width, height), facecolor=palette.paper)
    for column, shown in enumerate(pictures(model, pairs)):
        for row, picture in enumerate(shown):
            left, bottom = _GAP + column * (_PANEL + _GAP), height - _GAP - (row + 1) * (_TITLE + _PANEL)
            place = (left / width, bottom / height, _PANEL / width, _PANEL / height)
            axes = figure.add_axes(place, xticks=[], yticks=[], frame_on=False)
            axes.imshow(picture)
            axes.set_title(_title(row, column, pairs), fontsize=_FONT, color=palette.ink, pad=4)
    return figure


def _title(row: int, column: int, pairs: Composites) -> str:
    if column < len(COLUMNS):
        return "" if row else COLUMNS[column]
    return f"where is the {pairs.digits[row, column - len(COLUMNS)]}?"


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the network and writes the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.opening", description=__doc__)
    parser.add_argument("--epochs", type=int, default=10, help="of the training; default: %(default)s")
    parser.add_argument("--count", type=int, default=2048, help="canvases in each; default: %(default)s")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "opening.png")
    options = parser.parse_args(arguments)
    model = train("global pooling", epochs=options.epochs, count=options.count)
    pairs = Composites(*(part[list(ROWS)] for part in held_out(max(ROWS) + 1)))
    draw(model, pairs).savefig(options.out, dpi=DPI)


if __name__ == "__main__":
    main()
