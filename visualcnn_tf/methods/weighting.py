"""Sums that the methods share: over positions, and over channels by one weight each."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from visualcnn_tf.ops.fast.means import spatial_mean


def spatial_sum(maps: tf.Tensor) -> tf.Tensor:
    """Return the sum over the axes between the batch and the channels, which keep a size of 1."""
    return tf.reduce_sum(maps, list(range(1, maps.shape.rank - 1)), keepdims=True)


def weighted_channels(activations: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return ``Σ_k w_k·A_k``, ``(B, h, w)``, for weights ``(B, 1, 1, C)`` of feature maps ``(B, h, w, C)``."""
    return tf.reduce_sum(weights * activations, -1)


def mean_gradients(gradients: tf.Tensor) -> tf.Tensor:
    """Return the mean of gradients ``(B, h, w, C)`` over positions, ``(B, 1, 1, C)``."""
    spread = spread_by_pooling(gradients)
    return spatial_mean(gradients) if spread is None else spread


def mean_magnitudes(gradients: tf.Tensor) -> tf.Tensor:
    """Return the mean of the magnitudes of gradients ``(B, h, w, C)`` over positions, ``(B, 1, 1, C)``."""
    spread = spread_by_pooling(gradients)
    return spatial_mean(tf.abs(gradients)) if spread is None else tf.abs(spread)


def spread_by_pooling(gradients: tf.Tensor) -> tf.Tensor | None:
    """Return the one value a channel that a global pooling's gradient has spread over all positions, if it is that.

    The backward pass multiplies that value with a constant of ones; most networks end in a global pooling, so this
    saves a read of the gradients.
    """
    operation = getattr(gradients, "op", None)  # eager tensors have none
    if operation is None or operation.type != "Mul":
        return None
    value, ones = operation.inputs
    constant = tf.get_static_value(ones)
    is_spread = constant is not None and np.all(constant == 1.0) and value.shape[1:-1].num_elements() == 1
    return value if is_spread else None
