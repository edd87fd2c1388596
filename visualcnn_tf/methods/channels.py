"""Channels one by one, for methods that run the model again for each: which of them, and their weighted sum."""

from __future__ import annotations

import tensorflow as tf


def channels_first(activations: tf.Tensor) -> tf.Tensor:
    """Return feature maps ``(B, h, w, C)`` as ``(B, C, h, w)``."""
    rank = activations.shape.rank
    return tf.transpose(activations, [0, rank - 1, *range(1, rank - 1)])


def most_varied(maps: tf.Tensor, count: int | None) -> tf.Tensor | None:
    """Return the indices ``(B, n)`` of the channels of ``(B, C, h, w)`` with the largest variance; None for all."""
    if count is None or count >= maps.shape[1]:
        return None
    space = list(range(2, maps.shape.rank))
    centered = maps - tf.reduce_mean(maps, space, keepdims=True)
    return tf.math.top_k(tf.reduce_mean(tf.square(centered), space), count).indices


def take_channels(maps: tf.Tensor, indices: tf.Tensor | None) -> tf.Tensor:
    """Return the channels of ``(B, C, h, w)`` at indices ``(B, n)``; all of them for None."""
    return maps if indices is None else tf.gather(maps, indices, batch_dims=1)


def weighted_maps(maps: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return ``Σ_k w_k·A_k``, ``(B, h, w)``, of maps ``(B, C, h, w)`` and weights ``(B, C)``."""
    return tf.reduce_sum(maps * tf.reshape(weights, [-1, maps.shape[1], *[1] * (maps.shape.rank - 2)]), 1)
