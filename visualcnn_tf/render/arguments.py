"""The images and heatmaps that pictures are made of."""

from __future__ import annotations

import numpy.typing as npt
import tensorflow as tf

from visualcnn_tf._utils.checks import as_tensor, bad_value


def image_and_heatmap(
    image: npt.ArrayLike | tf.Tensor, heatmap: npt.ArrayLike | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return both as tensors, whose ranks and sizes fit.

    Raises:
        InvalidTypeError: One of them is not an array of numbers.
        InvalidArgumentError: They are not (B, H, W, C) and (B, H, W).
    """
    image, heatmap = as_tensor("image", image), as_tensor("heatmap", heatmap)
    if image.shape.rank != 4:
        advice = "Add the missing axes, e.g. image[None]."
        raise bad_value("image", "of shape (B, H, W, C)", image.shape, advice)
    if heatmap.shape.rank != 3 or not image.shape[:3].is_compatible_with(heatmap.shape):
        allowed = f"of the image's batch, height and width, {image.shape[:3]}"
        raise bad_value("heatmap", allowed, heatmap.shape, "Resize the heatmap or the image first.")
    return image, heatmap


def unit_values(heatmap: npt.ArrayLike | tf.Tensor) -> tf.Tensor:
    """Return a heatmap of floats or uint8 as float32 in [0, 1]; NaN becomes 0.

    Raises:
        InvalidArgumentError: It is of another type.
    """
    heatmap = as_tensor("heatmap", heatmap)
    if not (heatmap.dtype.is_floating or heatmap.dtype == tf.uint8):
        raise bad_value("heatmap", "of floats in [0, 1] or of uint8", heatmap.dtype.name)
    if heatmap.dtype == tf.uint8:
        return tf.cast(heatmap, tf.float32) / 255
    values = tf.cast(heatmap, tf.float32)
    # NaN > 0 is false, so NaN becomes 0. A cast to an index could turn it into any number.
    return tf.minimum(tf.where(values > 0, values, tf.zeros_like(values)), 1)
