"""Pictures from heatmaps: colors, overlays and the blurmap. Tensors in, tensors out.

Only TensorFlow operations, so that everything here works eagerly, inside ``tf.function`` (also with
``jit_compile=True``) and in a TFLite file without Select operations.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from functools import cache
from math import isfinite, isnan
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from visualcnn_tf._utils.checks import as_tensor, bad_value, check_choice
from visualcnn_tf.render.colormaps import color_table

BLUR_SIGMAS = tuple(0.3 * n for n in range(11, 0, -1))
"""Standard deviations (pixels) of the blurmap's levels, least important first; then comes the sharp image."""

_OVERSHOOT = 0.1  # of the value range: bicubic resizing goes so far beyond it, a wrong range goes further
_TRUNCATE = 4.0  # a Gaussian ends after this many standard deviations, as in scipy.ndimage


def colorize(heatmap: Any, colormap: str = "seed") -> tf.Tensor:
    """Heatmap values as colors.

    Args:
        heatmap: Any shape; floats in [0, 1] or uint8 in 0 … 255. Values outside are clipped, NaN is 0.
        colormap: A name in :data:`~visualcnn_tf.render.colormaps.COLORMAPS`: ``"seed"`` (black, dark red, orange, pale
            yellow), ``"gray"``, ``"turbo"``, ``"viridis"``, ``"inferno"``, ``"cividis"`` or ``"jet"``.

    Returns:
        uint8 RGB, shape (…, 3). A value v has the color number round(v · (entries - 1)) of the table.

    Raises:
        InvalidArgumentError: ``colormap`` is not a known name, or the heatmap is not of real numbers.

    Example:
        >>> colorize([[0.0, 1.0]], "gray").numpy().tolist()
        [[[0, 0, 0], [255, 255, 255]]]
    """
    return _look_up(_unit(heatmap), color_table(colormap))


def overlay(
    image: Any,
    heatmap: Any,
    alpha: float = 0.5,
    colormap: str = "turbo",
    *,
    weighted: bool = False,
    value_range: Sequence[float] | None = None,
) -> tf.Tensor:
    """An image with its heatmap laid over it in color.

    ``(1 - w) · image + w · color``, where the opacity w is ``alpha`` everywhere or, weighted, ``alpha · heatmap``.

    Args:
        image: Shape (B, H, W, 3), or (B, H, W, 1) for gray images.
        heatmap: Shape (B, H, W); floats in [0, 1] or uint8 in 0 … 255. Values outside are clipped, NaN is 0.
        alpha: Opacity of the colors, from 0 (the image alone) to 1.
        colormap: A name in :data:`~visualcnn_tf.render.colormaps.COLORMAPS`.
        weighted: Whether the opacity is also proportional to the heatmap, so that the image stays as it is where the
            heatmap is 0.
        value_range: The image's black and its white, e.g. ``(0, 255)`` or ``(-1, 1)``. By default (0, 1) for floats
            and (0, 255) for integers. Values beyond it are clipped; in eager mode, those beyond it by more than a
            tenth of it are an error, because the range is then not the image's.

    Returns:
        uint8 RGB, shape (B, H, W, 3).

    Raises:
        InvalidArgumentError: An argument is not as described, or the shapes do not fit.

    Example:
        >>> overlay(np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2)), alpha=0.25, colormap="gray").numpy().max()
        np.uint8(191)
    """
    image, heatmap = as_tensor("image", image), as_tensor("heatmap", heatmap)
    _check_pair(image, heatmap)
    check_alpha(alpha)
    check_choice("weighted", weighted, (True, False))
    pixels, strength = _levels(image, value_range), _unit(heatmap)
    # Floats in the table save a cast of the colors.
    colors = _look_up(strength, color_table(colormap).astype(np.float32))
    opacity = alpha * tf.expand_dims(strength, -1) if weighted else alpha
    return tf.cast(tf.round(pixels + opacity * (colors - pixels)), tf.uint8)


def check_alpha(alpha: float) -> None:
    """Raises unless ``alpha`` is a number from 0 to 1."""
    if isinstance(alpha, bool) or not isinstance(alpha, numbers.Real) or not 0 <= alpha <= 1:
        raise bad_value("alpha", "a number from 0 (the image alone) to 1 (the colors alone)", alpha)


def check_value_range(value_range: Sequence[float] | None) -> tuple[float, float] | None:
    """A pair of numbers, the smaller one first, or None."""
    if value_range is None:
        return None
    allowed = "None or two finite numbers, black and white, such as (0, 255)"
    if not isinstance(value_range, (tuple, list)) or len(value_range) != 2:
        raise bad_value("value_range", allowed, value_range)
    if not all(isinstance(x, numbers.Real) and isfinite(x) for x in value_range) or value_range[0] >= value_range[1]:
        raise bad_value("value_range", allowed, value_range)
    return float(value_range[0]), float(value_range[1])


def check_values(
    image: Any,
    value_range: Sequence[float] | None,
    advice: str = "Say which values are black and white, e.g. value_range=(0, 255).",
    allow_nan: bool = False,
) -> None:
    """Raises where the values of an image, which are at hand, contradict the range that they are said to have."""
    image = as_tensor("image", image)
    if tf.size(image) == 0:
        return
    low, high = _black_and_white(image, value_range)
    darkest, brightest = float(tf.reduce_min(image)), float(tf.reduce_max(image))
    slack = _OVERSHOOT * (high - low)
    fits = low - slack <= darkest <= brightest <= high + slack
    if fits or (allow_nan and isnan(darkest + brightest)):
        return
    raise bad_value("image", f"of values from {low:g} to {high:g}", f"values from {darkest:g} to {brightest:g}", advice)


def blur_by_importance(image: Any, heatmap: Any) -> tf.Tensor:
    """The blurmap: an image sharp where its heatmap is high, and blurred the more the lower the heatmap is.

    A heatmap value v picks level min(11, int(12 v)) of twelve: Gaussian blurs with the standard deviations
    :data:`BLUR_SIGMAS`, then the image itself.

    Args:
        image: Shape (B, H, W, C), floats of any range, or integers. Any size, also smaller than the blur.
        heatmap: Shape (B, H, W); floats in [0, 1] or uint8 in 0 … 255. Values outside are clipped, NaN is 0.

    Returns:
        The image's shape and dtype (integers are rounded).

    Raises:
        InvalidArgumentError: The ranks or the sizes do not fit.

    Example:
        >>> image = np.eye(8, dtype="float32")[None, :, :, None]
        >>> bool(np.all(blur_by_importance(image, np.ones((1, 8, 8))) == image))
        True
    """
    image, heatmap = as_tensor("image", image), as_tensor("heatmap", heatmap)
    _check_pair(image, heatmap)
    return pick_blur(blur_levels(image), heatmap, image.dtype)


def blur_levels(image: tf.Tensor) -> tf.Tensor:
    """All twelve levels of an image: (B, H, W, C) -> (B, H, W, C, 12), float32 (float64 from float64).

    Each is ``scipy.ndimage.gaussian_filter(mode="reflect", truncate=4)`` over height and width: the image is
    continued by its mirror image, edge pixels repeated (d c b a | a b c d | d c b a). They need twelve times
    the memory of the image, and are worth keeping where one image has many heatmaps.
    """
    image = tf.cast(image, _blur_dtype(image.dtype))
    batch, height, width, channels = tf.unstack(tf.shape(image))
    kernels = tf.constant(_gaussians(), image.dtype)
    levels = kernels.shape[1]
    # Blurring runs along axis 1 of four, the channels folded into axis 2: no kernel depends on their number.
    blurred = tf.reshape(image, [batch, height, width * channels, 1])
    blurred = _blur(blurred, kernels[:, None, None, :])
    blurred = tf.reshape(blurred, [batch * height, width, channels, levels])
    blurred = _blur(blurred, kernels[:, None, :, None])
    blurred = tf.reshape(blurred, [batch, height, width, channels, levels])
    return tf.concat([blurred, tf.expand_dims(image, -1)], axis=-1)


def pick_blur(levels: tf.Tensor, heatmap: tf.Tensor, dtype: Any) -> tf.Tensor:
    """Picks each place from its level: (B, H, W, C, 12), heatmap (B, H, W) -> (B, H, W, C) in ``dtype``."""
    sharp = levels.shape[-1] - 1
    index = tf.minimum(tf.cast(_unit(heatmap) * (sharp + 1), tf.int32), sharp)
    picked = tf.gather(levels, index, axis=4, batch_dims=3)
    return tf.cast(tf.round(picked) if tf.as_dtype(dtype).is_integer else picked, dtype)


def _unit(heatmap: Any) -> tf.Tensor:
    """Any heatmap as float32 in [0, 1]."""
    heatmap = as_tensor("heatmap", heatmap)
    if not (heatmap.dtype.is_floating or heatmap.dtype == tf.uint8):
        raise bad_value("heatmap", "of floats in [0, 1] or of uint8", heatmap.dtype.name)
    if heatmap.dtype == tf.uint8:
        return tf.cast(heatmap, tf.float32) / 255
    values = tf.cast(heatmap, tf.float32)
    # NaN > 0 is false, so that NaN becomes 0 and not a wild index.
    return tf.minimum(tf.where(values > 0, values, tf.zeros_like(values)), 1)


def _look_up(values: tf.Tensor, table: npt.NDArray[Any]) -> tf.Tensor:
    """The entries of a table for float32 values in [0, 1]."""
    return tf.gather(tf.constant(table), tf.cast(tf.round(values * (len(table) - 1)), tf.int32))


def _levels(image: tf.Tensor, value_range: Sequence[float] | None) -> tf.Tensor:
    """An image of one or three channels as float32 in 0 … 255, not rounded."""
    if image.shape[-1] not in (1, 3):
        raise bad_value("image", "of 1 or 3 channels", image.shape)
    if not (image.dtype.is_floating or image.dtype.is_integer):
        raise bad_value("image", "of floats or integers", image.dtype.name)
    low, high = _black_and_white(image, value_range)
    if tf.executing_eagerly():
        check_values(image, value_range)
    scale = 255.0 / (high - low)
    levels = tf.cast(image, tf.float32)
    if (low, scale) != (0.0, 1.0):
        levels = (levels - low) * scale
    return levels if image.dtype == tf.uint8 and scale == 1.0 else tf.clip_by_value(levels, 0.0, 255.0)


def _black_and_white(image: tf.Tensor, value_range: Sequence[float] | None) -> tuple[float, float]:
    return check_value_range(value_range) or ((0.0, 1.0) if image.dtype.is_floating else (0.0, 255.0))


def _check_pair(image: tf.Tensor, heatmap: tf.Tensor) -> None:
    if image.shape.rank != 4:
        advice = "Add the missing axes, e.g. image[None]."
        raise bad_value("image", "of shape (B, H, W, C)", image.shape, advice)
    if heatmap.shape.rank != 3 or not image.shape[:3].is_compatible_with(heatmap.shape):
        allowed = f"of the image's batch, height and width, {image.shape[:3]}"
        raise bad_value("heatmap", allowed, heatmap.shape, "Resize the heatmap or the image first.")


def _blur_dtype(dtype: Any) -> Any:
    """Integers and half floats are blurred in float32."""
    return tf.float64 if dtype == tf.float64 else tf.float32


@cache
def _gaussians() -> npt.NDArray[np.float64]:
    """One kernel a column, shape (taps, levels), each with the sum 1 and cut off where scipy cuts it off."""
    radii = [int(_TRUNCATE * sigma + 0.5) for sigma in BLUR_SIGMAS]
    steps = np.arange(-max(radii), max(radii) + 1)[:, None]
    weights = np.exp(-0.5 * (steps / np.array(BLUR_SIGMAS)) ** 2) * (abs(steps) <= np.array(radii))
    return np.asarray(weights / weights.sum(axis=0))


def _blur(x: tf.Tensor, kernels: tf.Tensor) -> tf.Tensor:
    """Depthwise convolution along axis 1, continued by reflection over the edges."""
    length, radius = tf.shape(x)[1], kernels.shape[0] // 2
    # tf.pad reflects once only; folded positions are right also where the kernel is longer than the image.
    position = tf.range(-radius, length + radius) % (2 * length)
    x = tf.gather(x, tf.minimum(position, 2 * length - 1 - position), axis=1)
    return tf.nn.depthwise_conv2d(x, kernels, [1, 1, 1, 1], "VALID")
