"""Bilinear enlargement from two neighbors per sample.

What it buys: a product with a weight matrix reads all samples of an axis for each that it writes; these read two.
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
# An axis that grows this many times is so short that its product costs less than to transpose the map for it.
_SHORT = 8


def resize(maps: tf.Tensor, size: Sequence[AxisSize] | None, interpolation: str, environment: Environment) -> tf.Tensor:
    """Return what :func:`visualcnn_tf.ops.resize.resize` returns."""
    sizes_in = spatial_sizes(maps)
    if size is not None and interpolation in _LINEAR and grows(sizes_in, size):
        if is_gathered(interpolation, environment):
            return _by_gathering(maps, size)
        if all(map(_is_doubled, sizes_in, size)):
            return _by_tensorflow(maps, size)
    return plain_resize(maps, size, interpolation)


def is_gathered(interpolation: str, environment: Environment) -> bool:
    """Return whether an enlargement is worked out by XLA from two neighbors along each axis."""
    return interpolation in _LINEAR and environment.compiled_for_cpu


def grows(sizes_in: Sequence[AxisSize | None], size: Sequence[AxisSize]) -> bool:
    """Return whether all sizes are known, some axis grows and none shrinks."""
    if not (is_known(sizes_in) and is_known(size)):
        return False
    pairs = list(zip(sizes_in, size, strict=True))
    return all(before <= after for before, after in pairs) and any(before < after for before, after in pairs)


def _last_axis(maps: tf.Tensor, after: int) -> tf.Tensor:
    """Enlarge the last axis by a product."""
    before = maps.shape[-1]
    return maps if before == after else product(maps, tf.constant(planned_weights(before, after, "bilinear")))


def neighbors(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each sample of an enlarged axis, the pixel before it and its distance from that pixel's center."""
    position = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    first = position.astype(np.int32)
    return first, (position - first).astype(np.float32)


def _is_doubled(before: int, after: int) -> bool:
    """Return whether an axis grows by a power of two: TensorFlow's op computes in float32, which is exact then."""
    return after % before == 0 and (after // before).bit_count() == 1


def _by_tensorflow(maps: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Enlarge maps by TensorFlow's own op, one axis at a time with the others as its channels.

    Given a plane of one channel, which would be plainer, its kernels go pixel by pixel and take many times as long.
    """
    axes, rank = list(zip(maps.shape[1:], size, strict=True)), maps.shape.rank
    if size[-1] >= _SHORT * maps.shape[-1]:
        maps = _last_axis(maps, axes.pop()[1])
    # Each step moves one axis to the front and enlarges it there, so that all axes end up in their order and the large
    # result is never moved.
    count = len(axes)
    for before, after in reversed(axes):
        maps = tf.transpose(maps, [0, count, *range(1, count), *range(count + 1, rank)]) if count > 1 else maps
        if before != after:
            rest = maps.shape[2:]
            lines = tf.reshape(maps, [-1, before, 1, rest.num_elements()])
            lines = tf.raw_ops.ResizeBilinear(images=lines, size=[after, 1], half_pixel_centers=True)
            maps = tf.reshape(lines, [-1, after, *rest])
    return maps


def _by_gathering(maps: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """Enlarge maps so that XLA makes one loop over the result, together with what is done to that next.

    The last axis is a product, unless it is only doubled; along the others each sample lies between two.
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


def _twice_as_long(maps: tf.Tensor) -> tf.Tensor:
    """Enlarge the last axis by 2: a quarter before and a quarter behind each pixel's center."""
    before = tf.concat([maps[..., :1], maps[..., :-1]], -1)
    behind = tf.concat([maps[..., 1:], maps[..., -1:]], -1)
    pairs = tf.stack([0.25 * before + 0.75 * maps, 0.75 * maps + 0.25 * behind], -1)
    return tf.reshape(pairs, [-1, *maps.shape[1:-1], 2 * maps.shape[-1]])
