"""Maps scaled while they are small, and enlarged then.

What it buys: the large map is written once and clipped, not written, read twice for its extremes, shifted and divided.
Resizing is linear and keeps constants, so a map that is scaled before it is enlarged ends up the same but for rounding;
only clipping and casting have to come after.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from visualcnn_tf.ops.fast.environment import Environment
from visualcnn_tf.ops.fast.extremes import extremes, has_few_corners
from visualcnn_tf.ops.normalize import cast_maps, normalize_maps, zeros_unless
from visualcnn_tf.ops.postprocess import PostProcessing

# Scaled maps overshoot by this much before they are clipped: rounding must not leave the extremes short of 0 or 1.
_OVERSHOOT = 2.0**-19


def scales_to_extremes(space: Sequence[int | None], settings: PostProcessing, environment: Environment) -> bool:
    """Return whether maps of this size are scaled to the extremes that they have once they are enlarged."""
    if settings.normalize not in ("minmax", "max") or settings.size is None:
        return False
    return has_few_corners(space, settings.size, settings.interpolation, environment)


def scaled(maps: tf.Tensor, finite: tf.Tensor, settings: PostProcessing, environment: Environment) -> tf.Tensor:
    """Return maps of the same size, scaled as far as that can be done before they are enlarged."""
    if isinstance(settings.normalize, tuple):
        _, low, high = settings.normalize
        # Every other normalization keeps zeros zero.
        return zeros_unless(finite, (maps - low) / (high - low))
    if settings.size is None or not scales_to_extremes(maps.shape[1:], settings, environment):
        return maps
    # First by what the small map spans, so that the extremes of the enlarged one are exact to rounding.
    maps = normalize_maps(maps, settings.normalize)
    low, high = extremes(maps, settings.size, settings.interpolation, environment)
    if settings.normalize == "max":
        largest = tf.maximum(-low, high)
        return maps * ((1.0 + _OVERSHOOT) / tf.maximum(largest, _OVERSHOOT))
    # A cast to integers cuts off the fraction: half a step more makes it round.
    is_uint8 = settings.heatmap_dtype == "uint8"
    steps, more = (255.0, 0.5) if is_uint8 else (1.0 + 2.0 * _OVERSHOOT, -_OVERSHOOT)
    # Negligible against the range, but keeps the divisor from zero for maps that are all zeros.
    step = (high - low + _OVERSHOOT**2) * (1.0 / steps)
    return (maps - (low - more * step)) / step


def finished(large: tf.Tensor, is_scaled: bool, settings: PostProcessing, environment: Environment) -> tf.Tensor:
    """Return enlarged maps normalized, if they were not scaled to their extremes, clipped and cast."""
    if isinstance(settings.normalize, tuple):
        return cast_maps(tf.clip_by_value(large, 0.0, 1.0), settings.heatmap_dtype)
    if not is_scaled:
        return cast_maps(normalize_maps(large, settings.normalize), settings.heatmap_dtype)
    if settings.normalize == "minmax" and settings.heatmap_dtype == "uint8":
        return _to_uint8(large, environment)
    return cast_maps(tf.clip_by_value(large, -1.0 if settings.normalize == "max" else 0.0, 1.0), settings.heatmap_dtype)


def _to_uint8(maps: tf.Tensor, environment: Environment) -> tf.Tensor:
    """Cast maps within [0, 256) to uint8, without their fraction."""
    if not environment.compiled_for_cpu:
        return tf.cast(maps, tf.uint8)
    # XLA's own cast looks for numbers that do not fit. Between 2**23 and 2**24 a float32 ends with an integer's bits.
    return tf.cast(tf.bitcast(maps + (2.0**23 - 0.5), tf.int32) & 255, tf.uint8)
