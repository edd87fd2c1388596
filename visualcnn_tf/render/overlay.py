"""Heatmaps as colors, by themselves and over their images."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf.render.arguments import image_and_heatmap, unit_values
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP, color_table
from visualcnn_tf.render.value_range import black_and_white, check_values


def colorize(heatmap: npt.ArrayLike | tf.Tensor, colormap: str = DEFAULT_COLORMAP) -> tf.Tensor:
    """Return the values of a heatmap as colors.

    Args:
        heatmap: Any shape; floats in [0, 1] or uint8 in 0 … 255. Values outside are clipped, NaN is 0.
        colormap: A name in :data:`~visualcnn_tf.render.colormaps.COLORMAPS`: ``"turbo"``, ``"viridis"``, ``"inferno"``,
            ``"cividis"``, ``"gray"``, ``"jet"`` or ``"heat"`` (black, dark red, orange, pale yellow).

    Returns:
        uint8 RGB, shape (…, 3). A value v has the color number round(v · (entries - 1)) of the table.

    Raises:
        InvalidArgumentError: ``colormap`` is not a known name, or the heatmap is not of real numbers.

    Example:
        >>> colorize([[0.0, 1.0]], "gray").numpy().tolist()
        [[[0, 0, 0], [255, 255, 255]]]
    """
    return _look_up(unit_values(heatmap), color_table(colormap))


def overlay(
    image: npt.ArrayLike | tf.Tensor,
    heatmap: npt.ArrayLike | tf.Tensor,
    alpha: float = 0.5,
    colormap: str = DEFAULT_COLORMAP,
    *,
    weighted: bool = False,
    value_range: Sequence[float] | None = None,
) -> tf.Tensor:
    """Return an image with its heatmap laid over it in color.

    ``(1 - w) · image + w · color``, where the opacity w is ``alpha`` everywhere or, weighted, ``alpha · heatmap``.

    Args:
        image: Shape (B, H, W, 3), or (B, H, W, 1) for gray images.
        heatmap: Shape (B, H, W); floats in [0, 1] or uint8 in 0 … 255. Values outside are clipped, NaN is 0.
        alpha: Opacity of the colors, from 0 (the image alone) to 1.
        colormap: A name in :data:`~visualcnn_tf.render.colormaps.COLORMAPS`.
        weighted: Whether the opacity is also proportional to the heatmap, so that the image stays as it is where the
            heatmap is 0.
        value_range: The image's black and its white, e.g. ``(0, 255)`` or ``(-1, 1)``. By default (0, 1) for floats
            and (0, 255) for integers. Values beyond it are clipped. In eager mode, values beyond it by more than a
            tenth of the range are an error: they mean that the image has another range.

    Returns:
        uint8 RGB, shape (B, H, W, 3).

    Raises:
        InvalidArgumentError: An argument is not as described, or the shapes do not fit.

    Example:
        >>> overlay(np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2)), alpha=0.25, colormap="gray").numpy().max()
        np.uint8(191)
    """
    image, heatmap = image_and_heatmap(image, heatmap)
    check_alpha(alpha)
    check_choice("weighted", weighted, (True, False))
    pixels, strength = _pixels(image, value_range), unit_values(heatmap)
    # Floats in the table save a cast of the colors.
    colors = _look_up(strength, color_table(colormap).astype(np.float32))
    opacity = alpha * tf.expand_dims(strength, -1) if weighted else alpha
    return tf.cast(tf.round(pixels + opacity * (colors - pixels)), tf.uint8)


def check_alpha(alpha: float) -> None:
    """Raise unless ``alpha`` is a number from 0 to 1."""
    if isinstance(alpha, bool) or not isinstance(alpha, numbers.Real) or not 0 <= alpha <= 1:
        raise bad_value("alpha", "a number from 0 (the image alone) to 1 (the colors alone)", alpha)


def _look_up(values: tf.Tensor, table: npt.NDArray[Any]) -> tf.Tensor:
    """Return the entries of a table for float32 values in [0, 1]."""
    return tf.gather(tf.constant(table), tf.cast(tf.round(values * (len(table) - 1)), tf.int32))


def _pixels(image: tf.Tensor, value_range: Sequence[float] | None) -> tf.Tensor:
    """Return an image of one or three channels as float32 in 0 … 255, not rounded."""
    if image.shape[-1] not in (1, 3):
        raise bad_value("image", "of 1 or 3 channels", image.shape)
    if not (image.dtype.is_floating or image.dtype.is_integer):
        raise bad_value("image", "of floats or integers", image.dtype.name)
    low, high = black_and_white(image, value_range)
    if tf.executing_eagerly():
        check_values(image, value_range)
    scale = 255.0 / (high - low)
    pixels = tf.cast(image, tf.float32)
    if (low, scale) != (0.0, 1.0):
        pixels = (pixels - low) * scale
    return pixels if image.dtype == tf.uint8 and scale == 1.0 else tf.clip_by_value(pixels, 0.0, 255.0)
