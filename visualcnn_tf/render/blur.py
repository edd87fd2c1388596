"""The blurmap: an image that is sharp where its heatmap is high, and blurred where it is low."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from visualcnn_tf.render.arguments import image_and_heatmap, unit_values

BLUR_SIGMAS = tuple(0.3 * n for n in range(11, 0, -1))
"""Standard deviations (pixels) of the blurred levels, the strongest blur first; the last level is the sharp image."""

_TRUNCATE = 4.0  # a Gaussian ends after this many standard deviations, as in scipy.ndimage


def blur_by_importance(image: npt.ArrayLike | tf.Tensor, heatmap: npt.ArrayLike | tf.Tensor) -> tf.Tensor:
    """Return the blurmap: an image sharp where its heatmap is high, and blurred the more the lower the heatmap is.

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
    image, heatmap = image_and_heatmap(image, heatmap)
    return pick_blur(blur_levels(image), heatmap, image.dtype)


def blur_levels(image: tf.Tensor) -> tf.Tensor:
    """Return all twelve levels of an image: (B, H, W, C) -> (B, H, W, C, 12), float32 (float64 from float64).

    Each is ``scipy.ndimage.gaussian_filter(mode="reflect", truncate=4)`` over height and width: the image is
    continued by its mirror image, edge pixels repeated (d c b a | a b c d | d c b a). The levels take twelve times
    the memory of the image, and are worth keeping where one image has many heatmaps.
    """
    image = tf.cast(image, tf.float64 if image.dtype == tf.float64 else tf.float32)
    batch, height, width, channels = tf.unstack(tf.shape(image))
    kernels = tf.constant(_gaussians(), image.dtype)
    levels = kernels.shape[1]
    # Blurring runs along axis 1 of four, the channels folded into axis 2, so that one kernel serves any number of them.
    blurred = tf.reshape(image, [batch, height, width * channels, 1])
    blurred = _blur(blurred, kernels[:, None, None, :])
    blurred = tf.reshape(blurred, [batch * height, width, channels, levels])
    blurred = _blur(blurred, kernels[:, None, :, None])
    blurred = tf.reshape(blurred, [batch, height, width, channels, levels])
    return tf.concat([blurred, tf.expand_dims(image, -1)], axis=-1)


def pick_blur(levels: tf.Tensor, heatmap: tf.Tensor, dtype: tf.DType | str) -> tf.Tensor:
    """Pick the level of each pixel: (B, H, W, C, 12), heatmap (B, H, W) -> (B, H, W, C) in ``dtype``."""
    sharp = levels.shape[-1] - 1
    index = tf.minimum(tf.cast(unit_values(heatmap) * (sharp + 1), tf.int32), sharp)
    picked = tf.gather(levels, index, axis=4, batch_dims=3)
    return tf.cast(tf.round(picked) if tf.as_dtype(dtype).is_integer else picked, dtype)


@cache
def _gaussians() -> npt.NDArray[np.float64]:
    """Return one kernel per column, (kernel size, levels), each with sum 1 and cut off where scipy cuts it off."""
    radii = [int(_TRUNCATE * sigma + 0.5) for sigma in BLUR_SIGMAS]
    steps = np.arange(-max(radii), max(radii) + 1)[:, None]
    weights = np.exp(-0.5 * (steps / np.array(BLUR_SIGMAS)) ** 2) * (abs(steps) <= np.array(radii))
    return np.asarray(weights / weights.sum(axis=0))


def _blur(x: tf.Tensor, kernels: tf.Tensor) -> tf.Tensor:
    """Convolve along axis 1, each channel by itself, with the edges continued by reflection."""
    length, radius = tf.shape(x)[1], kernels.shape[0] // 2
    # tf.pad reflects only once. Folding the positions is right also where the kernel is longer than the image.
    position = tf.range(-radius, length + radius) % (2 * length)
    x = tf.gather(x, tf.minimum(position, 2 * length - 1 - position), axis=1)
    return tf.nn.depthwise_conv2d(x, kernels, [1, 1, 1, 1], "VALID")
