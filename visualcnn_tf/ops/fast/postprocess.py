"""Post-processing of all heatmaps of a model."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence

import tensorflow as tf

from visualcnn_tf.ops.fast.enlarge import resize
from visualcnn_tf.ops.fast.environment import Environment
from visualcnn_tf.ops.fast.scale_first import finished, scaled, scales_to_extremes
from visualcnn_tf.ops.fast.xla import Compiled
from visualcnn_tf.ops.postprocess import FusedMap, PostProcessing
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
    heatmaps: dict[int, tf.Tensor] = {}
    groups: dict[Hashable, list[int]] = {}
    for index, one in enumerate(fused):
        space = tuple(one.maps.shape[1:])
        if is_compiled(one, environment):
            heatmaps[index] = _program(one.settings, space)(one.maps, one.finite)
            continue
        key: Hashable = index
        if batches is not None and scales_to_extremes(space, one.settings, environment):
            key = (space, one.settings, batches[index])
        groups.setdefault(key, []).append(index)
    for indices in groups.values():
        heatmaps |= zip(indices, _together([fused[index] for index in indices], environment), strict=True)
    return [heatmaps[index] for index in range(len(fused))]


def is_compiled(fused: FusedMap, environment: Environment) -> bool:
    """Return whether XLA compiles the post-processing of maps: only where all sizes are known."""
    sizes = [*fused.maps.shape[1:], *(fused.settings.size or ())]
    return fused.jit_compile and not environment.exporting and is_known(sizes)


@functools.lru_cache(maxsize=256)
def _program(settings: PostProcessing, space: tuple[int, ...]) -> Compiled:
    """Return the program for maps of one size, one for all layers."""
    return Compiled(lambda maps, finite: _postprocess(maps, finite, settings, Environment.current()))


def _postprocess(maps: tf.Tensor, finite: tf.Tensor, settings: PostProcessing, environment: Environment) -> tf.Tensor:
    is_scaled = scales_to_extremes(maps.shape[1:], settings, environment)
    maps = scaled(maps, finite, settings, environment)
    maps = resize(maps, settings.size, settings.interpolation, environment)
    return finished(maps, is_scaled, settings, environment)


def _together(group: Sequence[FusedMap], environment: Environment) -> list[tf.Tensor]:
    settings = group[0].settings
    if len(group) == 1:
        return [_postprocess(group[0].maps, group[0].finite, settings, environment)]
    maps, finite = tf.concat([one.maps for one in group], 0), tf.concat([one.finite for one in group], 0)
    small = tf.split(scaled(maps, finite, settings, environment), len(group), 0)
    large = [resize(maps, settings.size, settings.interpolation, environment) for maps in small]
    return [finished(maps, True, settings, environment) for maps in large]
