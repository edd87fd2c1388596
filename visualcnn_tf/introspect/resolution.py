"""How the resolution of feature maps changes on the way through a model."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import keras

from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import CONV_LAYERS
from visualcnn_tf.introspect.moving import is_border
from visualcnn_tf.introspect.sizes import NEW_RESOLUTION, is_map, largest_ratio


@dataclass(frozen=True, order=True)
class Resolution:
    """The resolution of a feature map, counted from the input.

    Attributes:
        turns: number of changes between shrinking and growing: even while maps shrink, odd while they grow.
        halvings: number of times that the size was halved, less the number of times that it was doubled.
    """

    turns: int = 0
    halvings: int = 0

    def after(self, halvings: int) -> Resolution:
        """Return the resolution after so many more halvings, or doublings if negative."""
        is_growing = self.turns % 2 == 1
        turns = (halvings > 0 and is_growing) or (halvings < 0 and not is_growing)
        return Resolution(self.turns + turns, self.halvings + halvings)


def resolutions(graph: CallGraph, others: Collection[LayerCall] = ()) -> dict[LayerCall, Resolution]:
    """Return the resolution of each call's output.

    Args:
        graph: the calls of a model.
        others: calls whose outputs have spatial axes of another meaning, such as windows of attention: they leave the
            resolution as it is.
    """
    found: dict[LayerCall, Resolution] = {}
    shapes: dict[LayerCall, tuple[int | None, ...]] = {}
    sequences = _sequences(graph)
    for call in graph.calls:
        sources = graph.sources[call]
        shape = call.spatial_shape
        if call in sequences and not call.returns_sequence:
            shape = shape[1:]
        # A border that is only padded or cropped does not count.
        is_like_source = bool(sources) and (call in others or is_border(call, sources))
        shapes[call] = shapes[sources[0]] if is_like_source else shape
        # A gate (squeeze and excitation) or an embedding has no size of its own: the source with a map decides.
        deciding = [source for source in sources if is_map(shapes[source])] or sources
        after = [found[source].after(_halvings(call.layer, shapes[source], shapes[call])) for source in deciding]
        found[call] = max(after, default=Resolution())
    return found


def _sequences(graph: CallGraph) -> set[LayerCall]:
    """Return the calls with one map for each time step, ``(B, T, h, w, C)``: of ConvLSTMs, and what works on these."""
    found: set[LayerCall] = set()
    for call in graph.calls:
        follows = any(source in found and len(source.shape) == len(call.shape) for source in graph.sources[call])
        if call.returns_sequence or follows:
            found.add(call)
    return found


def _halvings(layer: keras.Operation, before: Sequence[int | None], after: Sequence[int | None]) -> int:
    """Return how often the size halves from a layer's input to its output; negative where it doubles."""
    if len(before) != len(after) or not is_map(before) or not is_map(after) or _has_stride_one(layer):
        return 0
    ratio = largest_ratio(before, after)
    if max(ratio, 1 / ratio) < NEW_RESOLUTION:
        return 0
    return round(math.log2(ratio)) or (1 if ratio > 1 else -1)


def _has_stride_one(layer: keras.Operation) -> bool:
    """Return whether a convolution or pooling layer leaves the resolution as it is."""
    strides = getattr(layer, "strides", None)
    if not isinstance(layer, CONV_LAYERS) or strides is None:
        return False
    return set(strides if isinstance(strides, (tuple, list)) else [strides]) == {1}
