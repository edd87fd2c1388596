"""Maps scaled while they are small, and enlarged then.

What it buys: the large map is written once and clipped, not written, read twice for its extremes, shifted and divided.
Resizing is linear and keeps constants, so a map that is scaled before it is enlarged ends up the same but for rounding;
only clipping and casting have to come after.
"""

from __future__ import annotations

from typing import cast

import tensorflow as tf

from visualcnn_tf.ops.fast.environment import Environment
from visualcnn_tf.ops.fast.extremes import extremes, has_few_corners
from visualcnn_tf.ops.normalize import cast_maps, normalize_maps, zeros_unless
from visualcnn_tf.ops.postprocess import FusedMap, PostProcessing

# Scaled maps overshoot by this much before they are clipped: rounding must not leave the extremes short of 0 or 1.
_OVERSHOOT = 2.0**-19


def scales_to_extremes(fused: FusedMap, environment: Environment) -> bool:
    """Return whether maps are scaled, while they are small, to the extremes that they will have."""
    settings = fused.settings
    if settings.normalize not in ("minmax", "max") or settings.size is None:
        return False
    return has_few_corners(fused.maps.shape[1:], settings.size, settings.interpolation, environment)


def scale_to_extremes(maps: tf.Tensor, settings: PostProcessing, environment: Environment) -> tf.Tensor:
    """Scale small maps so that they need only be enlarged, clipped and cast."""
    # First by what the small map spans, so that the extremes of the enlarged one are exact to rounding.
    maps = normalize_maps(maps, settings.normalize)
    low, high = extremes(maps, cast(tuple[int, ...], settings.size), settings.interpolation, environment)
    if settings.normalize == "max":
        largest = tf.maximum(-low, high)
        return maps * ((1.0 + _OVERSHOOT) / tf.maximum(largest, _OVERSHOOT))
    # A cast to integers cuts off the fraction: half a step more makes it round.
    is_uint8 = settings.heatmap_dtype == "uint8"
    steps, more = (255.0, 0.5) if is_uint8 else (1.0 + 2.0 * _OVERSHOOT, -_OVERSHOOT)
    # Negligible against the range, but keeps the divisor from zero for maps that are all zeros.
    step = (high - low + _OVERSHOOT**2) * (1.0 / steps)
    return (maps - (low - more * step)) / step


def scale_to_range(fused: FusedMap) -> tf.Tensor:
    """Scale small maps to a range, and fill those that are not finite with zeros; others keep theirs in any case."""
    if not isinstance(fused.settings.normalize, tuple):
        return fused.maps
    _, low, high = fused.settings.normalize
    return zeros_unless(fused.finite, (fused.maps - low) / (high - low))


def finish(large: tf.Tensor, is_scaled: bool, settings: PostProcessing, environment: Environment) -> tf.Tensor:
    """Return the heatmaps of enlarged maps: normalized unless they were scaled before, clipped and cast."""
    normalize, dtype = settings.normalize, settings.heatmap_dtype
    if isinstance(normalize, tuple):
        return cast_maps(tf.clip_by_value(large, 0.0, 1.0), dtype)
    if not is_scaled:
        return cast_maps(normalize_maps(large, normalize), dtype)
    if normalize == "minmax" and dtype == "uint8":
        return _to_uint8(large, environment)
    return cast_maps(tf.clip_by_value(large, -1.0 if normalize == "max" else 0.0, 1.0), dtype)


def _to_uint8(maps: tf.Tensor, environment: Environment) -> tf.Tensor:
    """Cast maps within [0, 256) to uint8, without their fraction."""
    if not environment.compiled_for_cpu:
        return tf.cast(maps, tf.uint8)
    # XLA's own cast looks for numbers that do not fit. Between 2**23 and 2**24 a float32 ends with an integer's bits.
    return tf.cast(tf.bitcast(maps + (2.0**23 - 0.5), tf.int32) & 255, tf.uint8)
