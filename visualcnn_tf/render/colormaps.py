"""Color maps: tables of colors by name, in NumPy alone."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import numpy.typing as npt

from visualcnn_tf._utils.checks import check_choice
from visualcnn_tf.render import colormap_tables

Table = npt.NDArray[np.uint8]

DEFAULT_COLORMAP = "turbo"
"""The color map of every function, layer and command that is not given another one."""

# Red, green and blue of jet, piecewise linear: the values at the corners, and the levels there.
_JET: tuple[tuple[list[float], list[float]], ...] = (
    ([0, 0.35, 0.66, 0.89, 1], [0, 0, 1, 1, 0.5]),
    ([0, 0.125, 0.375, 0.64, 0.91, 1], [0, 0, 1, 1, 0, 0]),
    ([0, 0.11, 0.34, 0.65, 1], [0.5, 1, 1, 0, 0]),
)


def _heat_table() -> Table:
    """Black over dark red and orange to pale yellow: the colors of the original visualcnn, 1001 entries."""
    n = np.arange(1001.0)
    channels = [0.3355 * n + 2.236, 1.6 * n - 1105, 2.7522e-9 * n**3.6499 - 30.9771]
    return np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)


def _gray_table() -> Table:
    """Black to white."""
    return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def _jet_table() -> Table:
    """Dark blue over cyan, yellow and orange to dark red, as in MATLAB."""
    values = np.linspace(0, 1, 256)
    channels = [np.interp(values, corners, levels) for corners, levels in _JET]
    return np.round(255 * np.stack(channels, axis=-1)).astype(np.uint8)


def _stored_table(text: str) -> Table:
    """Return a table that is stored as base64."""
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(256, 3)


COLORMAPS: dict[str, Callable[[], Table]] = {
    "turbo": partial(_stored_table, colormap_tables.TURBO),
    "viridis": partial(_stored_table, colormap_tables.VIRIDIS),
    "inferno": partial(_stored_table, colormap_tables.INFERNO),
    "cividis": partial(_stored_table, colormap_tables.CIVIDIS),
    "gray": _gray_table,
    "jet": _jet_table,
    "heat": _heat_table,
}
"""Name of a color map -> function that makes its table: uint8 RGB, shape (entries, 3), the value 0 first."""


def color_table(colormap: str) -> Table:
    """Return the colors of a name in :data:`COLORMAPS`: uint8 RGB, shape (entries, 3), the value 0 first.

    Raises:
        InvalidArgumentError: There is no such name.
    """
    check_choice("colormap", colormap, tuple(COLORMAPS))
    return _made(colormap)


@cache
def _made(colormap: str) -> Table:
    table = COLORMAPS[colormap]()
    table.setflags(write=False)
    return table
