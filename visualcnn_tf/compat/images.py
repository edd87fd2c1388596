"""The images that a Visualizer takes, and their sizes in its pictures."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualcnn_tf._utils.checks import LONGEST_SIDE, bad_value
from visualcnn_tf.errors import Image1DError, InputShapeError, InvalidTypeError, SizeTooSmall

_SMALLEST = 100  # pixels: the least width of a picture


def as_batch(image: ArrayLike, has_channels: bool = True) -> NDArray[Any]:
    """Return an image (H, W), (H, W, C), (1, H, W) or a batch (B, H, W, C) of numbers as (B, H, W, C).

    Args:
        image: One image or a batch.
        has_channels: Whether the model's images have a channel axis. Otherwise (B, H, W) is a batch, too.

    Raises:
        InvalidTypeError: It is not an array of numbers.
        Image1DError: It has less than two dimensions.
        InputShapeError: It has more than four, or no pixel.
    """
    array = _numbers(image)
    if array.ndim < 2:
        raise Image1DError(
            f"`input` must have two dimensions or more. Received: shape {array.shape}. Reshape it to (H, W)."
        )
    if array.ndim > 4:
        raise InputShapeError(f"`input` must be at most a batch (B, H, W, C). Received: shape {array.shape}.")
    if 0 in array.shape:
        raise InputShapeError(f"`input` must have at least one pixel. Received: shape {array.shape}.")
    if array.ndim == 2:
        return array[None, :, :, None]
    if array.ndim == 3:
        is_batch = len(array) == 1 or (not has_channels and array.shape[-1] != 1)
        return array[..., None] if is_batch else array[None]
    return array


def _numbers(image: ArrayLike) -> NDArray[Any]:
    """Return an array of numbers; those of bools are 0.0 and 1.0."""
    try:
        array = np.asarray(image)
    except (TypeError, ValueError, NotImplementedError):  # ragged lists, symbolic tensors
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise InvalidTypeError(
            "`input` must be an image: an array of numbers (H, W), (H, W, C), (1, H, W) or (B, H, W, C). "
            f"Received: {type(image).__name__}. Read a file first, e.g. with keras.utils.load_img."
        )
    return array.astype(np.float32) if array.dtype.kind == "b" else array


def as_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return any image (H, W, C) as uint8 RGB; the mean of the channels where they are not colors.

    Images other than uint8 are taken to be from 0 to 1, or from their minimum to their maximum if they go beyond.
    """
    colors = image[..., :3] if image.shape[-1] in (3, 4) else np.repeat(image.mean(-1, keepdims=True), 3, -1)
    if image.dtype == np.uint8:
        return np.round(colors).astype(np.uint8)
    low, high = float(colors.min()), float(colors.max())
    if low < 0 or high > 1:
        colors = (colors - low) / ((high - low) or 1.0)
    return np.asarray(np.round(colors * 255), np.uint8)


def check_width(resize: object) -> int | None:
    """Return the width of a picture in pixels; None stands for the image's own.

    Raises:
        SizeTooSmall: It is under 100.
        InvalidArgumentError: It is not a number, or too large.
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
