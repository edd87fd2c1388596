"""Bilinear enlargement from two neighbors of each new sample.

What it buys: a product with a weight matrix reads all samples of an axis for each that it writes; this reads two, by
TensorFlow's own operation or, where XLA compiles, by gathering. Only short axes are enlarged by a product.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize
from visualcnn_tf.ops.fast.environment import Environment
from visualcnn_tf.ops.resize import is_known, planned_weights, product, spatial_sizes
from visualcnn_tf.ops.resize import resize as plain_resize

# The interpolations that enlarge linearly between neighbors.
_LINEAR = ("bilinear", "area")
# An axis that grows at least this many times is so short that a product costs less than the transpositions otherwise.
_SHORT = 8


def resize(maps: tf.Tensor, size: Sequence[AxisSize] | None, interpolation: str, environment: Environment) -> tf.Tensor:
    """Return what :func:`visualcnn_tf.ops.resize.resize` returns, which takes over wherever nothing is faster."""
    sizes_in = spatial_sizes(maps)
    if size is not None and interpolation in _LINEAR and grows(sizes_in, size):
        if is_gathered(interpolation, environment):
            return _by_gathering(maps, size)
        if all(map(_grows_by_power_of_two, sizes_in, size)):
            return _by_tensorflow(maps, size)
    return plain_resize(maps, size, interpolation)


def is_gathered(interpolation: str, environment: Environment) -> bool:
    """Return whether an enlargement is computed by XLA, from gathered neighbors."""
    return interpolation in _LINEAR and environment.compiled_for_cpu


def grows(sizes_in: Sequence[AxisSize | None], size: Sequence[AxisSize]) -> bool:
    """Return whether all sizes are known, some axis grows and none shrinks."""
    if not (is_known(sizes_in) and is_known(size)):
        return False
    pairs = list(zip(sizes_in, size, strict=True))
    return all(before <= after for before, after in pairs) and any(before < after for before, after in pairs)


def neighbors(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each sample of an enlarged axis, the pixel before it and its distance from that pixel's center."""
    position = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    first = position.astype(np.int32)
    return first, (position - first).astype(np.float32)


def _grows_by_power_of_two(before: int, after: int) -> bool:
    """Return whether TensorFlow's op, which computes positions in float32, is exact for an axis."""
    return after % before == 0 and (after // before).bit_count() == 1


def _by_tensorflow(maps: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Enlarge maps by TensorFlow's own op, one axis at a time with the others as channels.

    On two axes and one channel, which would be plainer, its kernels are not vectorized and take many times as long.
    """
    axes, rank = list(zip(maps.shape[1:], size, strict=True)), maps.shape.rank
    if size[-1] >= _SHORT * maps.shape[-1]:
        maps = _last_axis(maps, axes.pop()[1])
    count = len(axes)
    # Each step moves one axis to the front and enlarges it there: all axes end up in order, and the large result is
    # never transposed.
    for before, after in reversed(axes):
        maps = tf.transpose(maps, [0, count, *range(1, count), *range(count + 1, rank)]) if count > 1 else maps
        if before != after:
            rest = maps.shape[2:]
            lines = tf.reshape(maps, [-1, before, 1, rest.num_elements()])
            lines = tf.raw_ops.ResizeBilinear(images=lines, size=[after, 1], half_pixel_centers=True)
            maps = tf.reshape(lines, [-1, after, *rest])
    return maps


def _by_gathering(maps: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Enlarge maps by operations that XLA merges with those that follow into one loop over the result.

    The last axis is enlarged by a product, unless it only doubles: gathering along it is not vectorized.
    """
    *axes, last = zip(maps.shape[1:], size, strict=True)
    maps = _twice_as_long(maps) if last[1] == 2 * last[0] else _last_axis(maps, last[1])
    for axis, (before, after) in enumerate(axes, 1):
        if before != after:
            first, share = neighbors(before, after)
            share = share.reshape(-1, *[1] * (maps.shape.rank - axis - 1))
            second = tf.gather(maps, np.minimum(first + 1, before - 1), axis=axis)
            maps = tf.gather(maps, first, axis=axis) * (1.0 - share) + second * share
    return maps


def _last_axis(maps: tf.Tensor, after: int) -> tf.Tensor:
    """Enlarge the last axis by a product."""
    before = maps.shape[-1]
    return maps if before == after else product(maps, tf.constant(planned_weights(before, after, "bilinear")))


def _twice_as_long(maps: tf.Tensor) -> tf.Tensor:
    """Double the last axis: the new samples lie a quarter of a pixel before and after each center."""
    before = tf.concat([maps[..., :1], maps[..., :-1]], -1)
    after = tf.concat([maps[..., 1:], maps[..., -1:]], -1)
    pairs = tf.stack([0.25 * before + 0.75 * maps, 0.75 * maps + 0.25 * after], -1)
    return tf.reshape(pairs, [-1, *maps.shape[1:-1], 2 * maps.shape[-1]])
