"""Normalize maps ``(B, H, W)``, each image by itself, and cast them to the heatmap's type."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf.ops.rounding import CONSTANT

Normalization: TypeAlias = str | tuple[str, float, float] | None

DTYPES = ("float32", "float16", "uint8")
_ALLOWED = "'minmax', 'max', ('range', low, high) or None"
# Float32 numbers below this count as zero in most kernels.
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def check_normalize(normalize: object) -> Normalization:
    """Return the normalization in its canonical form.

    Raises:
        InvalidArgumentError: For anything but ``"minmax"``, ``"max"``, ``("range", low, high)`` with finite
            ``low < high`` that float32 can hold, or None.
    """
    if normalize is None or (isinstance(normalize, str) and normalize in ("minmax", "max")):
        return normalize
    if not isinstance(normalize, (tuple, list)) or len(normalize) != 3 or normalize[0] != "range":
        raise bad_value("normalize", _ALLOWED, normalize)
    return ("range", *_checked_limits(normalize))


def _checked_limits(normalize: Sequence[Any]) -> tuple[float, float]:
    """Return the limits of a range, which float32 must be able to hold, as well as their difference."""
    _, low, high = normalize
    if not (_is_finite(low) and _is_finite(high) and low < high):
        raise bad_value("normalize", "('range', low, high) with finite low < high", normalize)
    low, high = float(low), float(high)
    if max(-low, high, high - low) > _LARGEST or high - low < _SMALLEST:
        raise bad_value("normalize", "('range', low, high) with numbers and a difference of float32", normalize)
    return low, high


def _is_finite(value: object) -> bool:
    """Return whether a value is a finite real number."""
    return isinstance(value, numbers.Real) and math.isfinite(value)


def check_heatmap_dtype(heatmap_dtype: object, normalize: Normalization) -> str:
    """Return the name of a heatmap's type, which must be able to hold the normalized values.

    Raises:
        InvalidArgumentError: For a type that is not allowed, or uint8 for maps that are not in [0, 1].
    """
    name = getattr(heatmap_dtype, "name", heatmap_dtype)
    check_choice("heatmap_dtype", name, DTYPES)
    if name == "uint8" and normalize is None:
        allowed = "'float32' or 'float16' with `normalize=None`"
        raise bad_value("heatmap_dtype", allowed, heatmap_dtype, "Raw values do not fit 0 to 255.")
    return str(name)


def normalize_maps(maps: tf.Tensor, normalize: Normalization) -> tf.Tensor:
    """Scale each image's map.

    Args:
        maps: Finite float32 maps ``(B, H, W)``; any number of spatial axes.
        normalize: ``"minmax"``: minimum exactly 0 and maximum exactly 1 (but for rounding under XLA, which
            may compute a map twice); a constant map becomes zeros. ``"max"``: divided by the largest absolute
            value, so within [-1, 1], zero stays zero. ``("range", low, high)``: low maps to 0, high to 1, clipped,
            so that maps can be compared between frames. None: unchanged.

    Returns:
        float32 maps of the same shape.
    """
    if normalize is None:
        return maps
    space = list(range(1, maps.shape.rank))
    if normalize == "max":
        largest = tf.reduce_max(tf.abs(maps), space, keepdims=True)
        return maps / tf.where(largest > 0.0, largest, tf.fill(tf.shape(largest), math.inf))
    if normalize == "minmax":
        return scale_between(maps, tf.reduce_min(maps, space, keepdims=True), tf.reduce_max(maps, space, keepdims=True))
    _, low, high = cast(tuple[str, float, float], normalize)
    return tf.clip_by_value((maps - low) / (high - low), 0.0, 1.0)


def scale_between(maps: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Return ``(maps - low) / (high - low)``, and zeros for maps that are constant or whose span overflows.

    The limits are ``(B, 1, 1)``.
    """
    span = high - low
    floor = CONSTANT * tf.maximum(tf.abs(low), tf.abs(high))
    # 1 or 0, by arithmetic on one number per image instead of tf.where; where it is 0, maps are divided by infinity.
    # XNNPACK has no comparison and no select, and would partition the graph there. A select on the maps would also read
    # and write all of them once more.
    usable = tf.clip_by_value(tf.minimum((span - floor) * _LARGEST, _LARGEST - span), 0.0, 1.0)
    usable = tf.stop_gradient(usable)  # infinite where it is not 0
    # Not 1 / usable - 1: the graph optimizer would add 1 / usable to the span first, and lose a small span in it.
    return (maps - low * usable) / (span + (1.0 - usable) / usable)


def zeros_unless(chosen: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Return maps ``(B, h, w)`` with zeros for the images that are not chosen; ``chosen`` is ``(B, 1, 1)``."""
    # Selects whole images; a condition that is broadcast over their pixels takes more than twice as long.
    return tf.raw_ops.Select(condition=tf.reshape(chosen, [-1]), x=maps, y=tf.zeros_like(maps))


def cast_maps(maps: tf.Tensor, dtype: str) -> tf.Tensor:
    """Cast to float32, float16 (clipped to its largest number) or uint8 (0 to 255, clipped, rounded)."""
    if dtype == "uint8":
        return tf.cast(tf.round(tf.clip_by_value(maps, 0.0, 1.0) * 255.0), tf.uint8)
    if dtype == "float16":
        return tf.cast(tf.clip_by_value(maps, tf.float16.min, tf.float16.max), tf.float16)
    return maps
