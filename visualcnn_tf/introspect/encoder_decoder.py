"""The bottleneck of an encoder and decoder, such as a U-Net: from there on masks are explained."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import tensorflow as tf

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.sizes import is_map, space_of


def from_bottleneck(stages: Sequence[LayerCall], outputs: Iterable[tf.Tensor], data_format: str) -> list[LayerCall]:
    """Return the stages from the smallest map on, of a model that shrinks maps and grows them again to masks.

    What the encoder hands to the decoder beside the bottleneck are edges and strokes: maps of it explain a class by
    whatever looks like it anywhere in the image.

    Args:
        stages: the last map of each resolution, in order.
        outputs: of the model. Only masks, as many axes as the maps have, are made by a decoder.
        data_format: of the model's maps.
    """
    if not stages or not all(_are_masks(tuple(output.shape), stages[-1], data_format) for output in outputs):
        return list(stages)
    smallest = min(stages, key=_positions)
    grows_again = _positions(smallest) < _positions(stages[-1])
    return list(stages[stages.index(smallest) :] if grows_again else stages)


def _are_masks(shape: Shape, last: LayerCall, data_format: str) -> bool:
    space = space_of(shape, data_format)
    return is_map(space) and len(space) == len(last.spatial_shape)


def _positions(call: LayerCall) -> int:
    return math.prod(size or 1 for size in call.spatial_shape)
