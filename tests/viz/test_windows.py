"""Pictures side by side: their titles."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import visualcnn_tf as vc
from visualcnn_tf.viz import windows
from visualcnn_tf.viz.windows import Tile


def titles(tiles: list[Tile], width: int | None = None) -> list[str]:
    """The titles as drawn, after a check that none is wider than its picture."""
    figure = Figure()
    windows._draw(figure, tiles, width)
    renderer = FigureCanvasAgg(figure).get_renderer()
    for ax in figure.axes:
        assert ax.title.get_window_extent(renderer).width <= ax.get_window_extent(renderer).width + 2
    return [ax.get_title() for ax in figure.axes]


def tile(title: str, width: int = 100) -> Tile:
    return Tile(title, np.zeros((50, width, 3), np.uint8))


def test_titles_that_fit_are_drawn_whole() -> None:
    assert titles([tile("1. conv", 200), tile("2. block_13_expand", 200)]) == ["1. conv", "2. block_13_expand"]


@pytest.mark.parametrize("width", [100, 150, 200])
def test_of_long_titles_number_and_end_are_drawn(width: int) -> None:
    long = "1. a_very_long_name_of_a_layer_in_a_model_block_13_expand_relu"
    (drawn,) = titles([tile(long, width)])
    assert drawn.startswith("1. …")
    assert long.endswith(drawn.removeprefix("1. …"))
    assert len(drawn) > width / 12


def test_the_visualizer_tells_layers_of_nested_models_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def stage(name: str) -> keras.Model:
        return keras.Sequential([keras.layers.Conv2D(2, 3, padding="same", name="conv")], name=name)

    backbone = keras.Sequential([stage("stage_1"), stage("stage_2")], name="a_pretrained_backbone_of_some_kind")
    visualizer = vc.Visualizer(keras.Sequential([keras.Input((28, 28, 1)), backbone]))
    visualizer.heatmap(np.eye(28))
    shown: list[str] = []
    monkeypatch.setattr(
        "visualcnn_tf.compat.visualizer.show", lambda tiles, *_: shown.extend(tile.title for tile in tiles)
    )
    visualizer.show_heatmap()
    assert shown == ["1. stage_1/conv", "2. stage_2/conv"]
