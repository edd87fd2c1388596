"""Resize maps: one small matrix product per axis.

TensorFlow's own bicubic, area and anti-aliased resize operations have no XLA kernel, and a constant matrix on the right
of a product survives int8 quantization in TensorFlow Lite. So each axis gets a weight matrix ``(size_in, size_out)``,
planned once when the sizes are known and computed in the graph when they are not.

Convention: half-pixel centers, as in ``tf.image.resize``; samples outside of the map do not count, and the weights of
the others are renormalized. Where an axis shrinks, the kernel is widened (anti-aliasing).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TypeAlias, TypeGuard

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize

Array: TypeAlias = np.ndarray | tf.Tensor

#: Each interpolating kernel as a function of the distance, in units of the coarser pixel.
_KERNELS: dict[str, Callable[[Array, ModuleType], Array]] = {
    "bilinear": lambda x, xp: xp.maximum(1.0 - x, 0.0),
    # Keys' cubic convolution with a = -0.5 (IEEE TASSP 29, 1981).
    "bicubic": lambda x, xp: xp.where(
        x <= 1.0,
        (1.5 * x - 2.5) * x * x + 1.0,
        xp.where(x < 2.0, ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0, 0.0 * x),
    ),
}

INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "area")


def resize(maps: tf.Tensor, size: Sequence[AxisSize] | None, interpolation: str = "bilinear") -> tf.Tensor:
    """Resize maps ``(B, h, w)``, or ``(B, t)`` or ``(B, d, h, w)``, to ``(B, *size)``.

    Args:
        maps: float32 maps; their size may be unknown until run time.
        size: One integer or scalar int32 tensor for each spatial axis; None leaves the maps as they are.
        interpolation: ``"bilinear"``, ``"nearest"``, ``"bicubic"`` (Keys, a = -0.5) or ``"area"`` (box average
            where an axis shrinks, bilinear where it grows). All but nearest are anti-aliased where an axis shrinks.

    Returns:
        float32 maps; equal to ``tf.image.resize(..., antialias=True)`` within 1e-5.
    """
    sizes_in = spatial_sizes(maps)
    if size is None or all(map(is_same, sizes_in, size)):
        return maps
    # Each step moves the first axis to the end and resizes it there, so that all axes end up in their order.
    for before, after in zip(sizes_in, size, strict=True):
        maps = first_axis_last(maps)
        if not is_same(before, after):
            maps = product(maps, _weights(before, after, interpolation))
    return maps


def is_known(sizes: Sequence[AxisSize | None]) -> TypeGuard[Sequence[int]]:
    """Return whether all sizes are integers, none of them known at run time only."""
    return all(isinstance(size, int) for size in sizes)


def is_same(before: AxisSize, after: AxisSize) -> bool:
    """Return whether an axis is known to keep its size."""
    return is_known([before, after]) and before == after


def spatial_sizes(maps: tf.Tensor) -> list[AxisSize]:
    """Return the sizes of all axes but the batch: integers where known, scalar tensors elsewhere."""
    dynamic = tf.shape(maps)
    return [known or dynamic[axis] for axis, known in enumerate(maps.shape) if axis]


def first_axis_last(maps: tf.Tensor) -> tf.Tensor:
    """Move the first axis after the batch to the end."""
    return tf.transpose(maps, [0, *range(2, maps.shape.rank), 1]) if maps.shape.rank > 2 else maps


def product(maps: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Return ``maps @ weights``, of any rank, as one product of two matrices.

    TensorFlow's product of batches takes a tenth of a millisecond longer, and writes out of bounds for rank 4 and a
    batch axis of size 1 (tensorflow/tensorflow#117700).
    """
    if maps.shape.rank <= 2:
        return tf.matmul(maps, weights)
    *kept, before = spatial_sizes(maps)
    after = weights.shape[1] or tf.shape(weights)[1]
    return tf.reshape(tf.matmul(tf.reshape(maps, [-1, before]), weights), [-1, *kept, after])


def _weights(size_in: AxisSize, size_out: AxisSize, interpolation: str) -> tf.Tensor:
    """Return the weights of one axis, ``(size_in, size_out)`` float32: a constant where both sizes are known."""
    if isinstance(size_in, int) and isinstance(size_out, int):
        return tf.constant(planned_weights(size_in, size_out, interpolation))
    source, target = (tf.range(tf.cast(size, tf.float64), dtype=tf.float64) for size in (size_in, size_out))
    step = tf.cast(size_in, tf.float64) / tf.cast(size_out, tf.float64)
    return tf.cast(_weight_matrix(source, target, step, interpolation, tf.experimental.numpy), tf.float32)


@functools.lru_cache(maxsize=256)
def planned_weights(size_in: int, size_out: int, interpolation: str) -> np.ndarray:
    """Return the weight matrix of one axis, ``(size_in, size_out)`` float32, columns summing to 1."""
    source, target = np.arange(size_in, dtype=np.float64), np.arange(size_out, dtype=np.float64)
    weights = _weight_matrix(source, target, np.float64(size_in / size_out), interpolation, np)
    weights = np.asarray(weights, np.float32)
    weights.setflags(write=False)
    return weights


def _weight_matrix(source: Array, target: Array, step: Array, interpolation: str, xp: ModuleType) -> Array:
    """Return the weights in float64, by NumPy or, for sizes known only at run time, by TensorFlow's NumPy.

    Args:
        source: The pixels of the map, 0, 1, 2 and so on.
        target: The pixels of the resized map, likewise.
        step: How many of the first are as long as one of the second.
        interpolation: See :func:`resize`.
        xp: ``numpy`` or ``tf.experimental.numpy``.
    """
    source, target = source[:, None], target[None, :]
    if interpolation == "nearest":
        # In float32, as TensorFlow does it: at exact halves the rounding decides which neighbor is taken.
        position = xp.asarray(target + 0.5, np.float32) * xp.asarray(step, np.float32)
        return xp.asarray(xp.asarray(xp.floor(position), np.float64) == source, np.float64)
    center = (target + 0.5) * step - 0.5
    if interpolation == "area":
        overlap = xp.minimum(source + 1.0, (target + 1.0) * step) - xp.maximum(source, target * step)
        box = xp.maximum(overlap, 0.0) / step
        return xp.where(step > 1.0, box, _interpolating(abs(source - center), "bilinear", xp))
    return _interpolating(abs(source - center) / xp.maximum(step, 1.0), interpolation, xp)


def _interpolating(distance: Array, kernel: str, xp: ModuleType) -> Array:
    weights = _KERNELS[kernel](distance, xp)
    return weights / xp.sum(weights, axis=0, keepdims=True)
