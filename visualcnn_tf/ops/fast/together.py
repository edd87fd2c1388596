"""Small maps of several layers scaled together.

What it buys: scaling takes some twenty operations on small maps, and for small batches starting them costs more than
they do. The large maps stay apart, so that each is still in the processor's cache when it is clipped and cast.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import tensorflow as tf

from visualcnn_tf.ops.fast.environment import Environment
from visualcnn_tf.ops.fast.scale_first import scale_to_extremes, scales_to_extremes
from visualcnn_tf.ops.postprocess import FusedMap


def scale_together(
    fused: Sequence[FusedMap], batches: Sequence[Hashable], environment: Environment
) -> dict[int, tf.Tensor]:
    """Return small maps scaled to the extremes that they will have, by position, where that is possible.

    Args:
        fused: The fused maps of the layers.
        batches: One key for each: maps with equal keys have equally many images.
        environment: Where the graph is going to run.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, (one, batch) in enumerate(zip(fused, batches, strict=True)):
        if scales_to_extremes(one, environment):
            groups.setdefault((tuple(one.maps.shape[1:]), one.settings, batch), []).append(index)
    scaled: dict[int, tf.Tensor] = {}
    for indices in groups.values():
        maps, settings = [fused[index].maps for index in indices], fused[indices[0]].settings
        if len(maps) == 1:
            scaled[indices[0]] = scale_to_extremes(maps[0], settings, environment)
        else:
            stacked = scale_to_extremes(tf.concat(maps, 0), settings, environment)
            scaled |= zip(indices, tf.split(stacked, len(maps), 0), strict=True)
    return scaled
