"""Post-processing: what turns the map that a method has fused into a heatmap.

This is the definition. ``ops.fast`` computes the same heatmaps sooner, and is what runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize
from visualcnn_tf.ops.normalize import Normalization, cast_maps, normalize_maps, zeros_unless
from visualcnn_tf.ops.place import Region, place


@dataclass(frozen=True)
class PostProcessing:
    """The settings of post-processing.

    Attributes:
        size: Size of the heatmap, one number for each spatial axis; None for the size of the fused map.
        interpolation: How maps are resized, see :func:`visualcnn_tf.ops.resize.resize`.
        normalize: How values are scaled, see :func:`visualcnn_tf.ops.normalize.normalize_maps`.
        heatmap_dtype: ``"float32"``, ``"float16"`` or ``"uint8"``, see :func:`visualcnn_tf.ops.normalize.cast_maps`.
        region: The part of a heatmap of this size that the fused map covers, see :mod:`visualcnn_tf.ops.place`; None
            for all of it.
    """

    size: tuple[AxisSize, ...] | None
    interpolation: str
    normalize: Normalization
    heatmap_dtype: str
    region: Region | None = None


@dataclass(frozen=True, eq=False)
class FusedMap:
    """The maps that a method has fused for a batch of images, and how they become heatmaps.

    Attributes:
        maps: Finite float32 maps ``(B, h, w)``; any number of spatial axes. All zeros for an image that is not finite.
        finite: ``(B, 1, 1)``, False for images with NaN or infinite feature maps, which get an all-zero heatmap.
        settings: The settings of post-processing.
        jit_compile: Whether XLA compiles post-processing; makes no difference to the heatmaps.
    """

    maps: tf.Tensor
    finite: tf.Tensor
    settings: PostProcessing
    jit_compile: bool = False


def postprocess(fused: FusedMap) -> tf.Tensor:
    """Return the heatmaps ``(B, H, W)`` of fused maps: resized, placed, normalized and cast."""
    settings = fused.settings

    def scale(maps: tf.Tensor) -> tf.Tensor:
        return zeros_unless(fused.finite, normalize_maps(maps, settings.normalize))

    maps = place(fused.maps, settings.size, settings.region, settings.interpolation, scale)
    return cast_maps(maps, settings.heatmap_dtype)
