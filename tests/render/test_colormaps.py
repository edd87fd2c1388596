"""Color tables against matplotlib's."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.render.colormaps import COLORMAPS, DEFAULT_COLORMAP, color_table
from visualcnn_tf.video.film import Look


@pytest.mark.parametrize("name", [name for name in COLORMAPS if name != "heat"])
def test_every_entry_is_matplotlibs(name: str) -> None:
    exact = 255 * matplotlib.colormaps[name](np.arange(256))[:, :3]
    table = color_table(name)
    assert np.abs(table - exact).max() < 0.5 + 1e-9  # the nearest level
    as_bytes = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3]
    assert np.abs(table.astype(int) - as_bytes).max() <= 1


@pytest.mark.parametrize("name", COLORMAPS)
def test_every_table_is_uint8_rgb_and_nobody_can_change_it(name: str) -> None:
    table = color_table(name)
    assert table.dtype == np.uint8
    assert table.shape == (1001 if name == "heat" else 256, 3)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1


@pytest.mark.parametrize("name", ["viridis", "inferno", "cividis", "gray", "heat"])
def test_brighter_is_more(name: str) -> None:
    luminance = color_table(name) @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(luminance) > -0.8)  # up to rounding to levels
    assert luminance[-1] > luminance[0] + 150


@pytest.mark.parametrize(
    ("name", "advice"), [("grays", "'gray'"), ("Viridis", "'viridis'"), ("infern", "'inferno'"), ("turbo_r", "'turbo'")]
)
def test_an_unknown_name_brings_near_misses(name: str, advice: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"`colormap` must be one of 'turbo', .*'{name}'.*mean {advice}"):
        color_table(name)


@pytest.mark.parametrize("name", [None, 3, ["gray"]])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`colormap` must be one of 'turbo', 'viridis'"):
        color_table(name)


@pytest.mark.parametrize("user", [vc.colorize, vc.overlay, vc.Colorize, vc.Overlay, vc.HeatmapCallback, Look])
def test_one_color_map_is_the_default_of_all(user: Callable[..., object]) -> None:
    assert inspect.signature(user).parameters["colormap"].default == DEFAULT_COLORMAP


def test_figures_have_the_default_too() -> None:
    figure = vc.plot_heatmaps(np.zeros((1, 4, 4)), {"heatmap": np.zeros((1, 4, 4))})
    assert figure.axes[1].images[0].get_cmap().name == DEFAULT_COLORMAP


def test_the_web_page_offers_the_default_first() -> None:
    script = (Path(vc.__file__).parent / "web" / "page" / "colormap.js").read_text()
    assert re.search(r"FORMULAS = \{ (\w+),", script)[1] == DEFAULT_COLORMAP


def test_the_visualizer_keeps_the_colors_of_the_original() -> None:
    for method in (vc.Visualizer.save_heatmaps, vc.Visualizer.show_heatmap):
        assert inspect.signature(method).parameters["colormap"].default == "heat"
