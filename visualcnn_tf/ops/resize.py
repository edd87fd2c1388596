"""Resizing of maps as one small matrix product per axis, but where bilinear enlargement can be had for less.

TensorFlow's own bicubic, area and anti-aliased resize ops have no XLA kernel, and a constant matrix on the right of
a product survives int8 quantization, so each axis gets a weight matrix ``(size_in, size_out)``: planned once when
the sizes are known, computed in the graph when they are not.

Convention: half-pixel centers, as in ``tf.image.resize``; samples outside of the map do not count, and the weights
of the others are renormalized. Where an axis shrinks, the kernel is widened (anti-aliasing).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.ops.fast.xla import is_compiling_for_cpu

#: Half-width and function of each interpolating kernel, in units of the coarser pixel.
_KERNELS: dict[str, Callable[[Any, Any], Any]] = {
    "bilinear": lambda x, xp: xp.maximum(1.0 - x, 0.0),
    # Keys' cubic convolution with a = -0.5 (IEEE TASSP 29, 1981).
    "bicubic": lambda x, xp: xp.where(
        x <= 1.0,
        (1.5 * x - 2.5) * x * x + 1.0,
        xp.where(x < 2.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0, 0.0 * x),
    ),
}

INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "area")
# What enlarges linearly.
_LINEAR = ("bilinear", "area")
# An axis that grows this many times is so short that its product costs less than to transpose the map for it.
_SHORT = 8


def resize(maps: tf.Tensor, size: Sequence[Any], interpolation: str = "bilinear") -> tf.Tensor:
    """Resizes maps ``(B, h, w)``, or ``(B, t)`` or ``(B, d, h, w)``, to ``(B, *size)``.

    Args:
        maps: float32 maps; their size may be unknown until run time.
        size: one integer or scalar int32 tensor for each spatial axis.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"`` (Keys, a = -0.5) or ``"area"`` (box average
            where an axis shrinks, bilinear where it grows). All but nearest are anti-aliased where an axis shrinks.

    Returns:
        float32 maps; equal to ``tf.image.resize(..., antialias=True)`` within 1e-5.
    """
    sizes_in = _sizes(maps)
    if all(_same(before, after) for before, after in zip(sizes_in, size, strict=True)):
        return maps
    if interpolation in _LINEAR and grows(sizes_in, size):
        if is_linear_in_xla(interpolation):
            return _enlarge_in_xla(maps, sizes_in, size)
        if all(map(_doubled, sizes_in, size)):
            return _enlarge(maps, sizes_in, size)
    # The axes rotate, and the last one is weighed, until all stand as before; the large result is never moved.
    for before, after in zip(sizes_in, size, strict=True):
        maps = rotated(maps)
        if not _same(before, after):
            maps = product(maps, _weights(before, after, interpolation))
    return maps


def _enlarge(maps: tf.Tensor, sizes_in: Sequence[int], size: Sequence[int]) -> tf.Tensor:
    """Bilinear enlargement by TensorFlow's own op, one axis at a time with the others as its channels.

    It reads two samples for each that it writes, where a product reads them all. Given a plane of one channel, which
    would be plainer, its kernels go pixel by pixel and take many times as long.
    """
    axes, rank = list(zip(sizes_in, size, strict=True)), maps.shape.rank
    if size[-1] >= _SHORT * sizes_in[-1]:
        maps = product(maps, _weights(*axes.pop(), "bilinear"))
    # The axes rotate, and the first one is enlarged, until all stand as before; the large result is never moved.
    count = len(axes)
    for before, after in reversed(axes):
        maps = tf.transpose(maps, [0, count, *range(1, count), *range(count + 1, rank)]) if count > 1 else maps
        if before != after:
            rest = maps.shape[2:]
            lines = tf.reshape(maps, [-1, before, 1, rest.num_elements()])
            lines = tf.raw_ops.ResizeBilinear(images=lines, size=[after, 1], half_pixel_centers=True)
            maps = tf.reshape(lines, [-1, after, *rest])
    return maps


def _enlarge_in_xla(maps: tf.Tensor, sizes_in: Sequence[int], size: Sequence[int]) -> tf.Tensor:
    """Bilinear enlargement of which XLA makes one loop over the result, together with what is done to that next.

    The last axis is a product, unless it is only doubled; along the others each sample lies between two.
    """
    *axes, last = zip(sizes_in, size, strict=True)
    if last[1] == 2 * last[0]:
        maps = _twice_as_long(maps)
    elif last[0] != last[1]:
        maps = product(maps, _weights(*last, "bilinear"))
    for axis, (before, after) in enumerate(axes, 1):
        if before != after:
            first, share = neighbors(before, after)
            share = share.reshape(-1, *[1] * (maps.shape.rank - axis - 1))
            second = tf.gather(maps, np.minimum(first + 1, before - 1), axis=axis)
            maps = tf.gather(maps, first, axis=axis) * (1.0 - share) + second * share
    return maps


def _twice_as_long(maps: tf.Tensor) -> tf.Tensor:
    """The last axis enlarged by 2: a quarter before and a quarter behind each pixel's center."""
    before = tf.concat([maps[..., :1], maps[..., :-1]], -1)
    behind = tf.concat([maps[..., 1:], maps[..., -1:]], -1)
    pairs = tf.stack([0.25 * before + 0.75 * maps, 0.75 * maps + 0.25 * behind], -1)
    return tf.reshape(pairs, [-1, *maps.shape[1:-1], 2 * maps.shape[-1]])


def is_linear_in_xla(interpolation: str) -> bool:
    """Whether an enlargement lies between two neighbors along each axis, and is worked out so by XLA."""
    return interpolation in _LINEAR and is_compiling_for_cpu()


def neighbors(before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """For each sample of an enlarged axis the pixel before it, and how far behind the center of that it lies."""
    place = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    first = place.astype(np.int32)
    return first, (place - first).astype(np.float32)


def is_known(sizes: Sequence[Any]) -> bool:
    """Whether all sizes are integers, none of them known at run time only."""
    return all(isinstance(size, int) for size in sizes)


def grows(sizes_in: Sequence[Any], size: Sequence[Any]) -> bool:
    """Whether all sizes are known, and no axis shrinks."""
    known = is_known([*sizes_in, *size])
    return known and all(before <= after for before, after in zip(sizes_in, size, strict=True))


def _doubled(before: int, after: int) -> bool:
    """Whether an axis grows by a power of two: the op reckons places in float32, which are exact then."""
    return after % before == 0 and (after // before).bit_count() == 1


def rotated(maps: tf.Tensor) -> tf.Tensor:
    """The first axis after the batch becomes the last one."""
    return tf.transpose(maps, [0, *range(2, maps.shape.rank), 1]) if maps.shape.rank > 2 else maps


def product(maps: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """``maps @ weights``, of any rank, as one product of two matrices.

    TensorFlow's product of batches takes a tenth of a millisecond longer, and writes out of bounds for rank 4 and a
    batch axis of size 1 (tensorflow/tensorflow#117700).
    """
    if maps.shape.rank <= 2:
        return tf.matmul(maps, weights)
    *kept, before = _sizes(maps)
    after = weights.shape[1] or tf.shape(weights)[1]
    return tf.reshape(tf.matmul(tf.reshape(maps, [-1, before]), weights), [-1, *kept, after])


def _sizes(maps: tf.Tensor) -> list[Any]:
    """Spatial sizes: integers where known, scalar tensors elsewhere."""
    dynamic = tf.shape(maps)
    return [known or dynamic[axis] for axis, known in enumerate(maps.shape) if axis]


def _same(before: Any, after: Any) -> bool:
    return is_known([before, after]) and before == after


def _weights(size_in: Any, size_out: Any, interpolation: str) -> tf.Tensor:
    """``(size_in, size_out)`` float32: a constant where both sizes are known."""
    if isinstance(size_in, int) and isinstance(size_out, int):
        return tf.constant(planned_weights(size_in, size_out, interpolation))
    sizes = (tf.cast(size_in, tf.float64), tf.cast(size_out, tf.float64))
    return tf.cast(_weight_matrix(*sizes, interpolation, tf.experimental.numpy), tf.float32)


@functools.lru_cache(maxsize=256)
def planned_weights(size_in: int, size_out: int, interpolation: str) -> np.ndarray:
    """The weight matrix of one axis, ``(size_in, size_out)`` float32, columns summing to 1."""
    weights = _weight_matrix(np.float64(size_in), np.float64(size_out), interpolation, np)
    weights = np.asarray(weights, np.float32)
    weights.setflags(write=False)
    return weights


def _weight_matrix(size_in: Any, size_out: Any, interpolation: str, xp: ModuleType) -> Any:
    """The weights in float64, in NumPy or, for sizes known only at run time, in TensorFlow's NumPy."""
    step = size_in / size_out
    source = _arange(size_in, xp)[:, None]
    target = _arange(size_out, xp)[None, :]
    if interpolation == "nearest":
        # In float32, as TensorFlow does it: at exact halves the rounding decides which neighbor is taken.
        place = _float32(target + 0.5, xp) * _float32(step, xp)
        return _float64(_float64(xp.floor(place), xp) == source, xp)
    shrinking = xp.maximum(step, 1.0)
    if interpolation == "area":
        overlap = xp.minimum(source + 1.0, (target + 1.0) * step) - xp.maximum(source, target * step)
        box = xp.maximum(overlap, 0.0) / step
        tent = _interpolating(source, (target + 0.5) * step - 0.5, 1.0, "bilinear", xp)
        return xp.where(step > 1.0, box, tent)
    return _interpolating(source, (target + 0.5) * step - 0.5, shrinking, interpolation, xp)


def _interpolating(source: Any, place: Any, width: Any, kernel: str, xp: ModuleType) -> Any:
    weights = _KERNELS[kernel](abs(source - place) / width, xp)
    return weights / xp.sum(weights, axis=0, keepdims=True)


def _arange(size: Any, xp: ModuleType) -> Any:
    return np.arange(size, dtype=np.float64) if xp is np else tf.range(size, dtype=tf.float64)


def _float32(x: Any, xp: ModuleType) -> Any:
    return np.asarray(x, np.float32) if xp is np else tf.cast(x, tf.float32)


def _float64(x: Any, xp: ModuleType) -> Any:
    return np.asarray(x, np.float64) if xp is np else tf.cast(x, tf.float64)
