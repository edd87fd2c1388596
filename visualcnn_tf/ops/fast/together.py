"""Heatmaps of several layers at once: maps of one size are scaled together, and enlarged one by one.

Scaling takes some twenty operations on small maps; for small batches starting them costs more than they do. The large
maps stay apart, so that each is still in the processor's cache when it is clipped and cast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from visualcnn_tf.ops.fast.finish import Finish


@dataclass(frozen=True, eq=False)
class Fused:
    """What one layer's feature maps were fused into.

    Attributes:
        maps: ``(B, h, w)``.
        finite: ``(B, 1, 1)``, whether each image had finite ones only.
        finish: how they become heatmaps.
        group: maps are scaled with those of the same group, which have as many images.
    """

    maps: Any
    finite: Any
    finish: Finish
    group: Any


def heatmaps_of(fused: Sequence[Fused]) -> list[Any]:
    """The heatmaps ``(B, H, W)``, in the same order."""
    groups: dict[Any, list[int]] = {}
    for place, one in enumerate(fused):
        space = tuple(one.maps.shape[1:])
        # Maps that are not scaled while they are small have nothing to share.
        alone = None in space or not one.finish.scales_first(space)
        groups.setdefault(place if alone else (space, one.group), []).append(place)
    heatmaps: dict[int, Any] = {}
    for places in groups.values():
        heatmaps |= zip(places, _together([fused[place] for place in places]), strict=True)
    return [heatmaps[place] for place in range(len(fused))]


def _together(group: Sequence[Fused]) -> list[Any]:
    finish = group[0].finish
    if len(group) == 1:
        return [finish(group[0].maps, group[0].finite)]
    scaled = finish.scaled(tf.concat([one.maps for one in group], 0), tf.concat([one.finite for one in group], 0))
    return [finish.enlarged(maps) for maps in tf.split(scaled, len(group), 0)]
