"""Perturbation methods: how the score of a class changes when the model runs again on changed feature maps or images.

Each is a function from feature maps ``A`` of shape ``(B, h, w, C)`` and a :class:`Replay` to one map ``(B, h, w)`` per
image. They need no gradients, so they also see through layers that have none, and cost one run of the head, or of the
whole model, for each change.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf


class Replay(Protocol):
    """Runs a model again, and returns the scores of the explained class, ``(B, count)``.

    ``change`` makes the changed tensors of several variations at once, from their numbers ``(n,)``.
    """

    def on_maps(self, change: Callable[[Any], Any], mean: Callable[[Any], Any], count: int) -> Any:
        """With other feature maps ``(B, n, h, w, C)`` of the tapped layer; only what follows it runs.

        ``mean`` makes their mean over places ``(B, n, C)``, all that a global pooling reads, at a fraction of the cost.
        """

    def on_images(self, change: Callable[[Any], Any], count: int) -> Any:
        """With the images multiplied by maps ``(B, n, h, w)``, scaled to their size and to [0, 1]; all of it runs."""


def reciprocam(activations: tf.Tensor, rerun: Replay, max_channels: int | None = None) -> tf.Tensor:
    """Recipro-CAM: the score with one place of the feature maps left, for each place.

    The place and its neighbors are weighed by a 3×3 Gaussian, ``[1 2 1]ᵀ[1 2 1] / 16``. Byun and Lee, arXiv
    2209.14074, eq. 2 to 4. Costs one run of the head for each place.
    """
    space, channels = [int(n) for n in activations.shape[1:-1]], activations.shape[-1]
    masks, places = tf.constant(_gaussian_masks(*space)), math.prod(space)

    def change(numbers: Any) -> Any:
        return activations[:, tf.newaxis] * tf.gather(masks, numbers)

    def mean(numbers: Any) -> Any:
        weights = tf.reshape(tf.gather(masks, numbers) / places, [1, -1, places])
        return tf.matmul(weights, tf.reshape(activations, [-1, places, channels]))

    return tf.reshape(rerun.on_maps(change, mean, masks.shape[0]), [-1, *space])


def scorecam(activations: tf.Tensor, rerun: Replay, max_channels: int | None = None) -> tf.Tensor:
    """Score-CAM: ``Σ_k w_k·A_k``, ``w = softmax_k`` of the score of the image masked by ``A_k``, scaled to [0, 1].

    Wang et al., arXiv 1910.01279, algorithm 1. Costs one run of the whole model for each channel; ``max_channels``
    keeps those that vary most over the image (Faster Score-CAM).
    """
    maps = _channels_first(activations)
    maps = _taken(maps, _most_varied(maps, max_channels))
    scores = rerun.on_images(lambda numbers: tf.gather(maps, numbers, axis=1), maps.shape[1])
    return _weighted(maps, tf.nn.softmax(scores))


def ablationcam(activations: tf.Tensor, rerun: Replay, max_channels: int | None = None) -> tf.Tensor:
    """Ablation-CAM: ``Σ_k w_k·A_k``, ``w_k = (y - y_k) / |y|``: what the score loses without channel ``k``.

    Desai and Ramaswamy, "Ablation-CAM", WACV 2020, eq. 3 and 4, with ``|y|`` for ``y``, so that a negative logit does
    not turn the map around. Costs one run of the head for each channel; ``max_channels`` keeps those that vary most.
    """
    maps = _channels_first(activations)
    kept = _most_varied(maps, max_channels)
    every, places = tf.range(maps.shape[1]), [1] * (maps.shape.rank - 2)
    count = maps.shape[1] if kept is None else kept.shape[1]

    means = tf.reduce_mean(activations, list(range(1, maps.shape.rank - 1)))[:, tf.newaxis]

    def keep(numbers: Any) -> Any:
        ablated = numbers[tf.newaxis] if kept is None else tf.gather(kept, numbers, axis=1)
        return tf.cast(tf.not_equal(ablated[..., tf.newaxis], every), activations.dtype)

    def change(numbers: Any) -> Any:
        return activations[:, tf.newaxis] * tf.reshape(keep(numbers), [-1, numbers.shape[0], *places, maps.shape[1]])

    whole = rerun.on_maps(lambda numbers: activations[:, tf.newaxis], lambda numbers: means, 1)
    size = tf.abs(whole)
    drops = whole - rerun.on_maps(change, lambda numbers: means * keep(numbers), count)
    drops /= tf.where(size > 0.0, size, tf.ones_like(size))
    return _weighted(_taken(maps, kept), drops)


def _channels_first(activations: tf.Tensor) -> tf.Tensor:
    rank = activations.shape.rank
    return tf.transpose(activations, [0, rank - 1, *range(1, rank - 1)])


def _most_varied(maps: tf.Tensor, count: int | None) -> tf.Tensor | None:
    """``(B, n)`` numbers of the channels of ``(B, C, h, w)`` with the largest variance; None for all of them."""
    if count is None or count >= maps.shape[1]:
        return None
    space = list(range(2, maps.shape.rank))
    centerd = maps - tf.reduce_mean(maps, space, keepdims=True)
    return tf.math.top_k(tf.reduce_mean(tf.square(centerd), space), count).indices


def _taken(maps: tf.Tensor, numbers: tf.Tensor | None) -> tf.Tensor:
    return maps if numbers is None else tf.gather(maps, numbers, batch_dims=1)


def _weighted(maps: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """``Σ_k w_k·A_k`` of maps ``(B, C, h, w)`` and weights ``(B, C)``."""
    return tf.reduce_sum(maps * tf.reshape(weights, [-1, maps.shape[1], *[1] * (maps.shape.rank - 2)]), 1)


@functools.lru_cache(maxsize=32)
def _gaussian_masks(*space: int) -> np.ndarray:
    """``(places, h, w, 1)`` float32: the Gaussian around each place, cut off at the border."""
    masks: np.ndarray = np.ones((1, 1))
    for n in space:
        masks = np.kron(masks, (np.eye(n, k=-1) + 2 * np.eye(n) + np.eye(n, k=1)) / 4)
    masks = masks.reshape(-1, *space, 1).astype(np.float32)
    masks.setflags(write=False)
    return masks
