"""Calls that only move, crop, pad, enlarge or scale the feature maps of others."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import (
    BORDER_LAYERS,
    BORDER_OPERATIONS,
    CONV_LAYERS,
    MOVING_OPERATIONS,
    RESHAPING_LAYERS,
    SCALING_OPERATIONS,
)
from visualcnn_tf.introspect.sizes import NEW_RESOLUTION, largest_ratio


def only_moves(call: LayerCall, sources: Sequence[LayerCall]) -> bool:
    """Return whether a call only moves, crops, pads, enlarges or scales the maps of another one.

    Args:
        call: the call.
        sources: the calls that its output is directly computed from.
    """
    if isinstance(call.layer, RESHAPING_LAYERS) or getattr(call.layer, "normalizes", False):
        return True
    if not is_weightless(call.layer) or isinstance(call.layer, CONV_LAYERS) or len(sources) != 1:
        return False
    name = type(call.layer).__name__
    is_operation = not isinstance(call.layer, keras.Layer)
    return (
        name in MOVING_OPERATIONS
        or (is_operation and name in SCALING_OPERATIONS)
        or _size_ratio(sources[0], call) < NEW_RESOLUTION
    )


def is_border(call: LayerCall, sources: Sequence[LayerCall]) -> bool:
    """Return whether a call only adds or removes a border, so that its maps are still of the same resolution."""
    if len(sources) != 1 or isinstance(call.layer, CONV_LAYERS) or not is_weightless(call.layer):
        return False
    if isinstance(call.layer, BORDER_LAYERS) or type(call.layer).__name__ in BORDER_OPERATIONS:
        return True
    return 1 / 2 < _size_ratio(sources[0], call) < NEW_RESOLUTION


def is_weightless(layer: keras.Operation) -> bool:
    """Return whether a layer or operation has no weights."""
    return not getattr(layer, "weights", None)


def _size_ratio(before: LayerCall, after: LayerCall) -> float:
    """Return how much smaller a call's maps are than its source's; infinity if they can't be compared or are equal."""
    one, other = before.spatial_shape, after.spatial_shape
    if len(one) != len(other) or one == other or None in (*one, *other):
        return float("inf")
    return largest_ratio(one, other)
