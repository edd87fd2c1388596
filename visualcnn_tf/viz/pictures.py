"""Images from any array, and pictures in uint8 RGB to files and windows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from math import ceil, isfinite, sqrt
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from visualcnn_tf._utils.checks import LONGEST_SIDE, as_path, bad_value
from visualcnn_tf.errors import (
    Image1DError,
    InputShapeError,
    InvalidTypeError,
    MissingExtraError,
    SizeTooSmall,
)
from visualcnn_tf.io.atomic import write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]

_SMALLEST = 100  # pixels: the width under which a picture is too small to be looked at
_DPI = 100
_TITLE = 24  # pixels above each picture of a figure
_GAP = 8  # pixels between its columns
_FILES_ONLY = ("agg", "cairo", "pdf", "pgf", "ps", "svg", "template")  # matplotlib's backends without windows


def as_images(input: Any) -> Array:
    """An image (H, W), (H, W, C), (1, H, W) or a batch (B, H, W, C) of numbers as (B, H, W, C).

    Raises:
        InvalidTypeError: It is not an array of numbers.
        Image1DError: It has less than two dimensions.
        InputShapeError: It has more than four, or nothing in it.
    """
    try:
        array = np.asarray(input)
    except (TypeError, ValueError, NotImplementedError):  # ragged lists, symbolic tensors
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise InvalidTypeError(
            "`input` must be an image: an array of numbers (H, W), (H, W, C), (1, H, W) or (B, H, W, C). "
            f"Received: {type(input).__name__}. Read a file first, e.g. with keras.utils.load_img."
        )
    if array.ndim < 2:
        raise Image1DError(
            f"`input` must have two dimensions or more. Received: shape {array.shape}. Reshape it to (H, W)."
        )
    if array.ndim > 4:
        raise InputShapeError(f"`input` must be at most a batch (B, H, W, C). Received: shape {array.shape}.")
    if 0 in array.shape:
        raise InputShapeError(f"`input` must have at least one pixel. Received: shape {array.shape}.")
    if array.dtype.kind == "b":
        array = array.astype(np.float32)
    if array.ndim == 2:
        return array[None, :, :, None]
    if array.ndim == 3:
        return array[..., None] if len(array) == 1 else array[None]
    return array


def check_width(resize: Any) -> int | None:
    """The width of a picture in pixels; None stands for the image's own.

    Raises:
        SizeTooSmall: It is under 100.
        InvalidArgumentError: It is no number.
    """
    if resize is None:
        return None
    if isinstance(resize, bool) or not isinstance(resize, (int, float, np.number)) or not isfinite(resize):
        raise bad_value("resize", "a width in pixels or None", resize)
    if resize > LONGEST_SIDE:
        raise bad_value("resize", f"at most {LONGEST_SIDE} pixels wide", resize)
    if resize < _SMALLEST:
        raise SizeTooSmall(
            f"`resize` must be at least {_SMALLEST} pixels wide, or None for the image's own size. "
            f"Received: {resize!r}."
        )
    return int(resize)


def scaled(size: Sequence[int], width: int | None) -> tuple[int, int]:
    """Height and width of an image (H, W, …) that is to be ``width`` wide; its own for None."""
    return (size[0], size[1]) if width is None else (max(1, round(width * size[0] / size[1])), width)


def legible_size(shape: Sequence[int], smallest: int) -> tuple[int, int]:
    """Height and width of an image (H, W, …), times the least whole factor that makes one of them ``smallest``."""
    factor = ceil(smallest / max(shape[:2]))
    return shape[0] * factor, shape[1] * factor


def as_rgb(image: Array) -> Array:
    """Any image (H, W, C) as uint8 RGB; the mean of the channels where they are not colors.

    Other types than uint8 are taken from 0 to 1, or from their minimum to their maximum if they leave that.
    """
    colors = image[..., :3] if image.shape[-1] in (3, 4) else np.repeat(image.mean(-1, keepdims=True), 3, -1)
    if image.dtype == np.uint8:
        return np.round(colors).astype(np.uint8)
    low, high = float(colors.min()), float(colors.max())
    if low < 0 or high > 1:
        colors = (colors - low) / ((high - low) or 1.0)
    return np.asarray(np.round(colors * 255), np.uint8)


def show(tiles: Sequence[tuple[str, Array]], width: int | None, path: str | os.PathLike[str] | None) -> None:
    """Draws pictures (H, W, 3) of one size, each with its title, side by side into a window or a file.

    Where no window can be opened, it is a temporary file, whose path is printed.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            'Pictures are shown with matplotlib. Install it with: pip install "visualcnn-tf[plot]"'
        ) from error
    path = None if path is None else as_path("path", path)
    window = _window() if path is None else None
    if window is not None:
        _draw(window, tiles, width)
        pyplot.show()
        return
    file = path or _temporary()
    figure, content = Figure(), BytesIO()
    _draw(figure, tiles, width)
    try:
        figure.savefig(content, format=file.suffix[1:] or "png", dpi=_DPI)
    except ValueError as error:  # matplotlib's answer to a format that it does not know
        raise bad_value("path", "a file that ends in .png, .pdf, .svg or the like", str(file)) from error
    write_file(file, content.getvalue())
    if path is None:
        print(f"No window can be opened here. The pictures are in {file} (`path` says where they are to be).")


def _window() -> Figure | None:
    """A figure in a window or a notebook; None where there is no screen."""
    from matplotlib import get_backend, pyplot

    if get_backend().lower() in _FILES_ONLY:
        return None
    try:
        return pyplot.figure()
    except ImportError:  # a backend that needs a screen was asked for
        return None


def _temporary() -> Path:
    handle, file = mkstemp(prefix="visualcnn_", suffix=".png")
    os.close(handle)
    return Path(file)


def _draw(figure: Figure, tiles: Sequence[tuple[str, Array]], width: int | None) -> None:
    """Fills a figure from left to right and from top to bottom."""
    columns = ceil(sqrt(len(tiles)))
    rows = ceil(len(tiles) / columns)
    height, width = scaled(tiles[0][1].shape, width)
    down, across = rows * (height + _TITLE), columns * (width + _GAP) - _GAP
    figure.set_dpi(_DPI)
    figure.set_size_inches(across / _DPI, down / _DPI)
    for n, (title, picture) in enumerate(tiles):
        row, column = divmod(n, columns)
        left, bottom = column * (width + _GAP) / across, 1 - (row + 1) / rows
        box = (left, bottom, width / across, height / down)
        ax = figure.add_axes(box, xticks=[], yticks=[], frame_on=False)
        ax.imshow(picture, interpolation="nearest", aspect="auto")
        ax.set_title(title, fontsize=10, pad=4, parse_math=False)  # a name may hold dollar signs
