"""From fused maps to heatmaps: resize, normalise and cast, in the order that touches the large maps least.

Resizing is linear and keeps constants, so a map that is scaled before it is enlarged ends up the same, but for
rounding; only what clips or chooses has to come after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from visualcnn_tf.normalize import Normalization, cast_maps, normalize_maps, scale_between
from visualcnn_tf.resize import corners, has_few_corners, resize

# By so much a scaled map reaches over its ends, which are cut off: rounding must not keep it from reaching them.
_OVERLAP = 2.0**-19


def finish(
    maps: Any, size: Sequence[Any] | None, interpolation: str, normalize: Normalization, dtype: str, finite: Any = None
) -> Any:
    """Heatmaps ``(B, H, W)`` of maps ``(B, h, w)``; any number of spatial axes.

    Args:
        maps: finite float32 maps.
        size: integers or scalar tensors, None for the maps' own size.
        interpolation: see ``resize``.
        normalize: see ``normalize_maps``.
        dtype: see ``cast_maps``.
        finite: ``(B, 1, 1)``, False for images whose heatmap is to be all zeros, as their map is.
    """
    if size is None:
        size = [known or tf.shape(maps)[axis] for axis, known in enumerate(maps.shape) if axis]
    if isinstance(normalize, tuple):
        _, low, high = normalize
        scaled = (maps - low) / (high - low)
        # Every other normalisation keeps zeros zero.
        scaled = scaled if finite is None else tf.where(finite, scaled, tf.zeros_like(scaled))
        return cast_maps(tf.clip_by_value(resize(scaled, size, interpolation), 0.0, 1.0), dtype)
    if normalize is None or not has_few_corners(maps.shape[1:], size, interpolation):
        return cast_maps(normalize_maps(resize(maps, size, interpolation), normalize), dtype)
    return _scaled_first(maps, size, interpolation, str(normalize), dtype)


def _scaled_first(maps: Any, size: Sequence[int], interpolation: str, normalize: str, dtype: str) -> Any:
    """The same with minmax or max before an enlargement: the large maps are written once."""
    # First by what the small map spans, so that the extremes of the enlarged one are exact to rounding.
    maps = normalize_maps(maps, normalize)
    found = corners(maps, size, interpolation)
    space = list(range(1, maps.shape.rank))
    if normalize == "max":
        largest = tf.reduce_max(tf.abs(found), space, keepdims=True)
        maps *= (1.0 + _OVERLAP) / tf.maximum(largest, _OVERLAP)
        return cast_maps(tf.clip_by_value(resize(maps, size, interpolation), -1.0, 1.0), dtype)
    low, high = tf.reduce_min(found, space, keepdims=True), tf.reduce_max(found, space, keepdims=True)
    maps = scale_between(maps, low, high)
    if dtype == "uint8":
        # A cast drops what is behind the point: 0.5 more makes it round.
        return tf.cast(resize(maps * 255.0 + 0.5, size, interpolation), tf.uint8)
    maps = maps * (1.0 + 2.0 * _OVERLAP) - _OVERLAP
    return cast_maps(tf.clip_by_value(resize(maps, size, interpolation), 0.0, 1.0), dtype)
