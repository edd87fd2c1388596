"""From fused maps to heatmaps: scale, resize and cast, in the order that touches the large maps least.

Resizing is linear and keeps constants, so a map that is scaled before it is enlarged ends up the same, but for
rounding; only what clips or chooses has to come after. Small maps of several layers can be scaled together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from visualcnn_tf.ops.fast.extremes import extremes, has_few_corners
from visualcnn_tf.ops.fast.xla import is_compiling_for_cpu
from visualcnn_tf.ops.normalize import Normalization, cast_maps, normalize_maps, zeros_unless
from visualcnn_tf.ops.resize import resize

# By so much a scaled map reaches over its ends, which are cut off: rounding must not keep it from reaching them.
_OVERLAP = 2.0**-19


@dataclass(frozen=True)
class Finish:
    """How fused maps become heatmaps.

    Attributes:
        size: of the heatmaps, integers or scalar tensors; None for the maps' own.
        interpolation: see ``resize``.
        normalize: see ``normalize_maps``.
        dtype: see ``cast_maps``.
    """

    size: Sequence[Any] | None
    interpolation: str
    normalize: Normalization
    dtype: str

    def __call__(self, maps: Any, finite: Any = None) -> Any:
        """Heatmaps ``(B, H, W)`` of finite float32 maps ``(B, h, w)``; any number of spatial axes.

        Args:
            maps: the maps.
            finite: ``(B, 1, 1)``, False for images whose heatmap is to be all zeros, as their map is.
        """
        return self.enlarged(self.scaled(maps, finite))

    def scaled(self, maps: Any, finite: Any = None) -> Any:
        """The first half: maps of the same size, scaled as far as that can be done before they are resized."""
        if isinstance(self.normalize, tuple):
            _, low, high = self.normalize
            scaled = (maps - low) / (high - low)
            # Every other normalization keeps zeros zero.
            return scaled if finite is None else zeros_unless(finite, scaled)
        if self.size is None or not self.scales_first(maps.shape[1:]):
            return maps
        # First by what the small map spans, so that the extremes of the enlarged one are exact to rounding.
        maps = normalize_maps(maps, self.normalize)
        low, high = extremes(maps, self.size, self.interpolation)
        if self.normalize == "max":
            largest = tf.maximum(-low, high)
            return maps * ((1.0 + _OVERLAP) / tf.maximum(largest, _OVERLAP))
        # A cast to integers drops what is behind the point: half a step more makes it round.
        steps, more = (255.0, 0.5) if self.dtype == "uint8" else (1.0 + 2.0 * _OVERLAP, -_OVERLAP)
        # Next to how far they lie apart this is nothing, but no zero where all of the map is.
        step = (high - low + _OVERLAP**2) * (1.0 / steps)
        return (maps - (low - more * step)) / step

    def enlarged(self, maps: Any) -> Any:
        """The second half: resized, normalized if that has to come last, and cast."""
        large = maps if self.size is None else resize(maps, self.size, self.interpolation)
        if isinstance(self.normalize, tuple):
            return cast_maps(tf.clip_by_value(large, 0.0, 1.0), self.dtype)
        if not self.scales_first(maps.shape[1:]):
            return cast_maps(normalize_maps(large, self.normalize), self.dtype)
        if self.normalize == "minmax" and self.dtype == "uint8":
            return _integers(large)
        return cast_maps(tf.clip_by_value(large, -1.0 if self.normalize == "max" else 0.0, 1.0), self.dtype)

    def scales_first(self, space: Sequence[int | None]) -> bool:
        """Whether maps of this size are scaled to their extremes before they are enlarged."""
        if self.normalize not in ("minmax", "max") or self.size is None:
            return False
        return has_few_corners(space, self.size, self.interpolation)


def _integers(maps: tf.Tensor) -> tf.Tensor:
    """Maps within [0, 256), without what is behind the point, as uint8."""
    if not is_compiling_for_cpu():
        return tf.cast(maps, tf.uint8)
    # XLA's own cast looks for numbers that do not fit. Between 2**23 and 2**24 a float32 ends with an integer's bits.
    return tf.cast(tf.bitcast(maps + (2.0**23 - 0.5), tf.int32) & 255, tf.uint8)


#: Leaves maps as they are.
UNCHANGED = Finish(size=None, interpolation="bilinear", normalize=None, dtype="float32")
