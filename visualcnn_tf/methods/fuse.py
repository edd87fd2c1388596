"""fuse: from feature maps of any type to one finite float32 map for each image."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.methods.base import Method
from visualcnn_tf.ops.normalize import zeros_unless


def fuse(method: Method, activations: tf.Tensor, gradients: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Fuse feature maps ``(B, h, w, C)`` of any float type into one map for each image.

    An image whose map is not finite everywhere (NaN or infinite activations) gets an all-zero map, so that no NaN ever
    reaches a user of the heatmap.

    Args:
        method: one that does not need a replay.
        activations: the feature maps.
        gradients: of a score with respect to them, for methods that need them.

    Returns:
        Maps ``(B, h, w)`` in float32, and whether each was finite, ``(B, 1, 1)`` bool.
    """
    given = [activations] if gradients is None else [activations, gradients]
    return finite_evidence(method, method(*(tf.cast(tensor, tf.float32) for tensor in given)))  # type: ignore[operator]


def finite_evidence(method: Method, maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return maps with zeros for images that are not finite, rectified where the method keeps positive values alone."""
    space = list(range(1, maps.shape.rank))
    # x - x is 0 for finite numbers and NaN for all others: true in graphs, under XLA and in TensorFlow Lite, where
    # tf.debugging.check_numerics does nothing. XNNPACK runs their mean, but not a comparison of each.
    finite = tf.reduce_mean(maps - maps, space, keepdims=True) == 0.0
    maps = zeros_unless(finite, maps)
    return (tf.nn.relu(maps) if method.keeps_positive else maps), finite
