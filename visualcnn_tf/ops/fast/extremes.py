"""The smallest and the largest value that maps have once they are enlarged, without enlarging them.

What it buys: the large map is not read for its extremes. Between the centers of neighboring pixels of a map, the
enlarged one is linear along each axis, so the outermost samples there, the corners, are the extremes. An enlargement by
8 needs a sixteenth of all samples.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize
from visualcnn_tf.ops.fast.enlarge import grows, is_gathered, neighbors
from visualcnn_tf.ops.fast.environment import Environment
from visualcnn_tf.ops.resize import first_axis_last, planned_weights, product


def has_few_corners(
    before: Sequence[AxisSize | None], after: Sequence[AxisSize], interpolation: str, environment: Environment
) -> bool:
    """Return whether :func:`extremes` can find those of enlarged maps with less work than from all their samples."""
    if interpolation == "bicubic" or not grows(before, after):
        return False
    if is_gathered(interpolation, environment):
        return True
    pairs = zip(before, after, strict=True)
    return bool(2 * math.prod(_corner_weights(*pair, interpolation).shape[1] for pair in pairs) < math.prod(after))


def extremes(
    maps: tf.Tensor, size: Sequence[int], interpolation: str, environment: Environment
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the smallest and the largest value, each ``(B, 1, 1)``, of maps ``(B, h, w)`` enlarged to a size."""
    if is_gathered(interpolation, environment):
        return _extremes_in_xla(maps, size)
    maps = _corners(maps, size, interpolation)
    space = list(range(1, maps.shape.rank))
    return tf.reduce_min(maps, space, keepdims=True), tf.reduce_max(maps, space, keepdims=True)


def _corners(maps: tf.Tensor, size: Sequence[int], interpolation: str) -> tf.Tensor:
    """Return the corners ``(B, ...)`` of enlarged maps, by a product along each axis."""
    for before, after in zip(maps.shape[1:], size, strict=True):
        maps = product(first_axis_last(maps), tf.constant(_corner_weights(before, after, interpolation)))
    return maps


@functools.lru_cache(maxsize=256)
def _corner_weights(size_in: int, size_out: int, interpolation: str) -> np.ndarray:
    """Return the columns of the weight matrix for the first and the last sample between each two centers."""
    between = np.floor((np.arange(size_out) + 0.5) * size_in / size_out - 0.5)
    is_new = np.diff(between, prepend=-np.inf) > 0
    is_last = np.diff(between, append=np.inf) > 0
    return planned_weights(size_in, size_out, interpolation)[:, is_new | is_last]


def _extremes_in_xla(maps: tf.Tensor, size: Sequence[int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the extremes from samples between neighbors, which XLA computes in its loop and never writes."""
    samples = [maps]
    for axis, (before, after) in enumerate(zip(maps.shape[1:], size, strict=True), 1):
        if 1 < before < after:
            samples = [each for one in samples for each in _outermost(one, axis, before, after)]
    space = list(range(1, maps.shape.rank))
    low, high = functools.reduce(tf.minimum, samples), functools.reduce(tf.maximum, samples)
    return tf.reduce_min(low, space, keepdims=True), tf.reduce_max(high, space, keepdims=True)


def _outermost(maps: tf.Tensor, axis: int, before: int, after: int) -> list[tf.Tensor]:
    """Return the first and the last sample between each two pixels along an axis."""
    pixel, _ = tf.split(maps, [before - 1, 1], axis)
    _, following = tf.split(maps, [1, before - 1], axis)
    shares = [share.reshape(-1, *[1] * (maps.shape.rank - axis - 1)) for share in _shares(before, after)]
    return [pixel * (1.0 - share) + following * share for share in shares]


@functools.lru_cache(maxsize=256)
def _shares(size_in: int, size_out: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how far after each pixel but the last its first and its last sample lie, as shares of the distance."""
    pixel, share = neighbors(size_in, size_out)
    first, last = np.ones(size_in, np.float32), np.zeros(size_in, np.float32)
    np.minimum.at(first, pixel, share)
    np.maximum.at(last, pixel, share)
    last[-2] = 1.0  # samples beyond the center of the last pixel equal that pixel
    return first[:-1], last[:-1]
