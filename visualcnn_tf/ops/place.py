"""Place a map in a picture of which it covers a part: models crop and pad what they see."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize
from visualcnn_tf.ops.resize import is_known, resize

#: Where something starts or stops along an axis, as a fraction of it: a number, or a scalar float32 tensor.
Fraction: TypeAlias = "float | tf.Tensor"
# Slightly more than a half, so that halves of a pixel are rounded up whatever their last bit is.
_HALF = 0.5001


@dataclass(frozen=True)
class Region:
    """The part of a picture that maps cover.

    Attributes:
        box: for each axis of the picture, where the maps start and where they stop, as fractions of the axis; below 0
            and over 1 where they reach beyond the picture.
        order: for each axis of the picture, which axis of the maps shows it, from 0.
    """

    box: tuple[tuple[Fraction, Fraction], ...]
    order: tuple[int, ...]


def place(
    maps: tf.Tensor,
    size: Sequence[AxisSize] | None,
    region: Region | None,
    interpolation: str,
    scale: Callable[[tf.Tensor], tf.Tensor],
) -> tf.Tensor:
    """Resize maps to the part of the picture that they cover, scale what is seen of them, and put zeros around it.

    Args:
        maps: float32 maps ``(B, h, w)``; any number of spatial axes.
        size: size of the picture, see :func:`visualcnn_tf.ops.resize.resize`.
        region: what the maps cover; None for all of the picture. Needs a size.
        interpolation: see :func:`visualcnn_tf.ops.resize.resize`.
        scale: makes maps of the same shape of the part of the resized maps that lies inside the picture.

    Returns:
        float32 maps ``(B, *size)``.
    """
    if region is None or size is None:
        return scale(resize(maps, size, interpolation))
    if region.order != tuple(range(len(size))):
        maps = tf.transpose(maps, [0, *(axis + 1 for axis in region.order)])
    edges = [_edges(*ends, length) for ends, length in zip(region.box, size, strict=True)]
    margins = [
        (_at_least(start, 0), _at_least(length - stop, 0)) for (start, stop), length in zip(edges, size, strict=True)
    ]
    seen = [length - before - after for length, (before, after) in zip(size, margins, strict=True)]
    maps = resize(maps, [stop - start for start, stop in edges], interpolation)
    maps = _slice(maps, [_at_least(-start, 0) for start, _ in edges], seen)
    return _pad(scale(maps), margins)


def _slice(maps: tf.Tensor, first: Sequence[AxisSize], size: Sequence[AxisSize]) -> tf.Tensor:
    """Return the part of maps of this size that begins at the first pixels."""
    is_whole = is_known(size) and tuple(size) == tuple(maps.shape[1:])
    return maps if is_whole else tf.slice(maps, [0, *first], [-1, *size])


def _pad(maps: tf.Tensor, margins: Sequence[tuple[AxisSize, AxisSize]]) -> tf.Tensor:
    """Return maps with zeros around them."""
    widths = [width for ends in margins for width in ends]
    return maps if is_known(widths) and not any(widths) else tf.pad(maps, [(0, 0), *margins])


def _edges(start: Fraction, stop: Fraction, length: AxisSize) -> tuple[Any, Any]:
    """Return the pixels before which a part starts and stops: at least one of them in the picture."""
    if isinstance(length, int) and not (tf.is_tensor(start) or tf.is_tensor(stop)):
        first, last = (math.floor(edge * length + _HALF) for edge in (start, stop))
        first = min(first, length - 1)
        return first, max(last, first + 1, 1)
    sizes = tf.cast(length, tf.float32)
    first, last = (tf.cast(tf.floor(edge * sizes + _HALF), tf.int32) for edge in (start, stop))
    first = tf.minimum(first, length - 1)
    return first, tf.maximum(tf.maximum(last, first + 1), 1)


def _at_least(value: AxisSize, least: int) -> AxisSize:
    return tf.maximum(value, least) if tf.is_tensor(value) else max(value, least)
