"""Pictures from heatmaps: colour tables and the blurmap. Tensors in, tensors out.

Only TensorFlow operations, so that everything here works eagerly, inside ``tf.function`` (also with
``jit_compile=True``) and in a TFLite file without Select operations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from visualcnn_tf._checks import bad_value, check_choice

Table = npt.NDArray[np.uint8]

BLUR_SIGMAS = tuple(0.3 * n for n in range(11, 0, -1))
"""Standard deviations (pixels) of the blurmap's levels, least important first; then comes the sharp image."""

_TRUNCATE = 4.0  # a Gaussian ends after this many standard deviations, as in scipy.ndimage


def _seed_table() -> Table:
    """Black over dark red and orange to pale yellow: the gradient of the original visualcnn, 1001 entries."""
    n = np.arange(1001.0)
    channels = [0.3355 * n + 2.236, 1.6 * n - 1105, 2.7522e-9 * n**3.6499 - 30.9771]
    return np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)


def _gray_table() -> Table:
    """Black to white, 256 entries."""
    return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


COLORMAPS: dict[str, Callable[[], Table]] = {
    "seed": _seed_table,
    "gray": _gray_table,
}
"""Name of a colour table -> function that makes it: uint8 RGB, shape (entries, 3), the value 0 first."""


@cache
def color_table(colormap: str) -> Table:
    """The colours of one name in :data:`COLORMAPS`: uint8 RGB, shape (entries, 3), the value 0 first.

    Raises:
        InvalidArgumentError: There is no such name.
    """
    check_choice("colormap", colormap, tuple(COLORMAPS))
    return COLORMAPS[colormap]()


def colorize(heatmap: Any, colormap: str = "seed") -> tf.Tensor:
    """Heatmap values as colours.

    Args:
        heatmap: Any shape; floats in [0, 1] or uint8 in 0 … 255. Values outside are clipped, NaN is 0.
        colormap: A name in :data:`COLORMAPS`: ``"seed"`` (black, dark red, orange, pale yellow), ``"gray"``.

    Returns:
        uint8 RGB, shape (…, 3). A value v has the colour number round(v · (entries - 1)) of the table.

    Raises:
        InvalidArgumentError: ``colormap`` is not a known name, or the heatmap is not of real numbers.

    Example:
        >>> colorize([[0.0, 1.0]], "gray").numpy().tolist()
        [[[0, 0, 0], [255, 255, 255]]]
    """
    table = color_table(colormap)
    index = tf.cast(tf.round(_unit(heatmap) * (len(table) - 1)), tf.int32)
    return tf.gather(tf.constant(table), index)


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
    image, heatmap = tf.convert_to_tensor(image), tf.convert_to_tensor(heatmap)
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
    heatmap = tf.convert_to_tensor(heatmap)
    if not (heatmap.dtype.is_floating or heatmap.dtype == tf.uint8):
        raise bad_value("heatmap", "of floats in [0, 1] or of uint8", heatmap.dtype.name)
    if heatmap.dtype == tf.uint8:
        return tf.cast(heatmap, tf.float32) / 255
    values = tf.cast(heatmap, tf.float32)
    # NaN > 0 is false, so that NaN becomes 0 and not a wild index.
    return tf.minimum(tf.where(values > 0, values, tf.zeros_like(values)), 1)


def _check_pair(image: tf.Tensor, heatmap: tf.Tensor) -> None:
    if image.shape.rank != 4:
        advice = "Add the missing axes, e.g. image[None]."
        raise bad_value("image", "of shape (B, H, W, C)", image.shape, advice)
    if not image.shape[:3].is_compatible_with(heatmap.shape):
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
