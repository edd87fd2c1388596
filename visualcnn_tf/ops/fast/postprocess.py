"""Post-processing of all heatmaps of a model, by whatever makes it fast."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence

import tensorflow as tf

from visualcnn_tf.ops.fast.enlarge import resize
from visualcnn_tf.ops.fast.environment import Environment
from visualcnn_tf.ops.fast.scale_first import finish, scale_to_range
from visualcnn_tf.ops.fast.together import scale_together
from visualcnn_tf.ops.fast.xla import Compiled
from visualcnn_tf.ops.postprocess import FusedMap, PostProcessing, postprocess
from visualcnn_tf.ops.resize import is_known


def postprocess_all(fused: Sequence[FusedMap], batches: Sequence[Hashable] | None = None) -> list[tf.Tensor]:
    """Return what ``[postprocess(one) for one in fused]`` returns, sooner.

    Args:
        fused: The fused maps of all tapped layers.
        batches: One key for each: maps with equal keys have equally many images. By default nothing is known.

    Returns:
        Heatmaps ``(B, H, W)`` in the same order; any number of spatial axes.
    """
    environment = Environment.current()
    keys = range(len(fused)) if batches is None else batches
    alone = {index: _by_itself(one, environment) for index, one in enumerate(fused)}
    heatmaps = {index: heatmap for index, heatmap in alone.items() if heatmap is not None}
    rest = [index for index in range(len(fused)) if index not in heatmaps]
    found = _by_operations([fused[index] for index in rest], [keys[index] for index in rest], environment)
    heatmaps |= zip(rest, found, strict=True)
    return [heatmaps[index] for index in range(len(fused))]


def _by_itself(fused: FusedMap, environment: Environment) -> tf.Tensor | None:
    """Return the heatmaps of maps that cover a part of the picture, or are compiled; None for all others."""
    if fused.settings.region is not None:
        return postprocess(fused)
    return _by_xla(fused) if _is_compiled(fused, environment) else None


def _by_operations(fused: Sequence[FusedMap], batches: Sequence[Hashable], environment: Environment) -> list[tf.Tensor]:
    """Return the heatmaps of maps that are scaled while they are small, where that is possible, and enlarged then."""
    scaled = scale_together(fused, batches, environment)
    heatmaps = []
    for index, one in enumerate(fused):
        maps = scaled[index] if index in scaled else scale_to_range(one)
        large = resize(maps, one.settings.size, one.settings.interpolation, environment)
        heatmaps.append(finish(large, index in scaled, one.settings, environment))
    return heatmaps


def _is_compiled(fused: FusedMap, environment: Environment) -> bool:
    """Return whether XLA compiles the post-processing of maps, for which all sizes must be known."""
    sizes = [*fused.maps.shape[1:], *(fused.settings.size or ())]
    return fused.jit_compile and not environment.exporting and is_known(sizes)


def _by_xla(fused: FusedMap) -> tf.Tensor:
    """Return the heatmaps from a program that all layers with maps of this size and these settings share."""
    return _program(fused.settings, tuple(fused.maps.shape[1:]))(fused.maps, fused.finite)


@functools.lru_cache(maxsize=256)
def _program(settings: PostProcessing, space: tuple[int, ...]) -> Compiled:
    def heatmaps(maps: tf.Tensor, finite: tf.Tensor) -> tf.Tensor:
        return _by_operations([FusedMap(maps, finite, settings)], [None], Environment.current())[0]

    return Compiled(heatmaps)
