"""The presets of ``layers``: which of the layers that ran are convolutions, ends of stages, or the last map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from visualcnn_tf.introspect.trace import LayerCall, Trace, nearest_upstream

PRESETS = ("conv", "stages", "last")

_DIMENSIONS = ("1D", "2D", "3D")


def _classes(*patterns: str) -> tuple[type, ...]:
    names = [pattern.format(d) for pattern in patterns for d in _DIMENSIONS]
    return tuple({getattr(keras.layers, name) for name in names if hasattr(keras.layers, name)})


#: Convolutions and local pooling of any rank.
CONV_LAYERS = _classes(
    "Conv{}",
    "Conv{}Transpose",
    "DepthwiseConv{}",
    "SeparableConv{}",
    "MaxPooling{}",
    "AveragePooling{}",
    "AdaptiveMaxPooling{}",
    "AdaptiveAveragePooling{}",
)
_BORDER_LAYERS = _classes("ZeroPadding{}", "Cropping{}")
#: Layers that only move or rescale what others have found. Layer normalization makes the channels of each place
#: sum to the same value, so that a mean over channels would see nothing.
_NO_STAGE = (
    _BORDER_LAYERS
    + _classes("UpSampling{}", "SpatialDropout{}")
    + (
        keras.layers.LayerNormalization,
        keras.layers.Dropout,
        keras.layers.GaussianDropout,
        keras.layers.GaussianNoise,
        keras.layers.Resizing,
        keras.layers.Rescaling,
        keras.layers.Normalization,
        keras.layers.Reshape,
        keras.layers.Permute,
        keras.layers.CenterCrop,
    )
)
#: Inside of these, axes are heads and tokens: no picture of the input.
_ATTENTION = (
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
)
# From this ratio between the sizes of two maps on, they belong to different resolutions; a valid convolution that
# trims the border does not start a new stage.
_NEW_RESOLUTION = 1.5


@dataclass(eq=False)
class _Node:
    """A tensor that some layer returns, and where it stands in the course of the resolutions.

    ``phase`` counts the turns between shrinking (even) and growing (odd); ``level`` counts halvings; ``space`` is
    the spatial size without borders that were only padded or cut.
    """

    call: LayerCall
    sources: list[_Node]
    space: tuple[int | None, ...] = ()
    phase: int = 0
    level: int = 0
    learned: bool = False
    feeds: list[_Node] = field(default_factory=list)


def conv_calls(probe: Trace) -> list[LayerCall]:
    """Every call of a convolution or local pooling layer."""
    return [call for call in probe.calls if isinstance(call.layer, CONV_LAYERS) and tappable(call)]


def stage_calls(probe: Trace) -> list[LayerCall]:
    """The last tensor of each resolution on the way to the head, one for each run of shrinking or growing."""
    nodes = _nodes(probe)
    bridges = _bridges(nodes)
    ends: dict[tuple[int, int], _Node] = {}
    for node in _stage_nodes(probe, nodes):
        key = (node.phase, node.level)
        # What all later maps are computed from stands for its stage better than the end of one of its branches.
        if node in bridges or ends.get(key) not in bridges:
            ends[key] = node
    return sorted((node.call for node in ends.values()), key=probe.calls.index)


def last_calls(probe: Trace) -> list[LayerCall]:
    """The last spatial map before the head; in a model with spatial outputs, before the output layer."""
    return stage_calls(probe)[-1:]


def tappable(call: LayerCall) -> bool:
    """Whether a heatmap can be made of the call's output."""
    return not call.obstacle and bool(call.space)


def _nodes(probe: Trace) -> list[_Node]:
    """One node for each tensor on the way to the outputs, in the order of execution, linked to its sources."""
    outputs = [tensor for tensor in keras.tree.flatten(probe.outputs) if hasattr(tensor, "op")]
    tensors: dict[Any, _Node] = {}
    for call in probe.calls:
        first_frame = call.frames is None or call.index % call.frames == 0
        distributed = isinstance(call.layer, keras.layers.TimeDistributed)
        if call.tensor is None or call.obstacle or not first_frame or distributed:
            continue
        if call.tensor.ref() not in tensors:
            sources = [tensors[ref] for ref in nearest_upstream(call.tensor, tensors)]
            tensors[call.tensor.ref()] = _placed(_Node(call, sources))
    wanted: set[_Node] = set()
    todo = [tensors[ref] for output in outputs for ref in _self_or_upstream(output, tensors)]
    while todo:
        node = todo.pop()
        if node not in wanted:
            wanted.add(node)
            todo.extend(node.sources)
    for node in wanted:
        for source in node.sources:
            source.feeds.append(node)
    return [node for node in tensors.values() if node in wanted]


def _self_or_upstream(tensor: Any, known: dict[Any, _Node]) -> list[Any]:
    return [tensor.ref()] if tensor.ref() in known else nearest_upstream(tensor, known)


def _placed(node: _Node) -> _Node:
    """Sets size, phase and level of a node from those of its sources."""
    layer = node.call.layer
    is_border = isinstance(layer, _BORDER_LAYERS) and len(node.sources) == 1
    node.space = node.sources[0].space if is_border else node.call.space
    has_weights = bool(getattr(layer, "weights", None)) and not isinstance(layer, keras.layers.Normalization)
    node.learned = isinstance(layer, CONV_LAYERS) or has_weights or any(s.learned for s in node.sources)
    places = []
    for source in node.sources:
        turn = _halvings(source.space, node)
        flips = (turn > 0 and source.phase % 2 == 1) or (turn < 0 and source.phase % 2 == 0)
        places.append((source.phase + flips, source.level + turn))
    # A gate (squeeze and excitation) or an embedding has no size of its own: the spatial source decides.
    spatial = [p for p, s in zip(places, node.sources, strict=True) if _is_map(s.space)]
    node.phase, node.level = max(spatial or places, default=(0, 0))
    return node


def _is_map(space: Sequence[int | None]) -> bool:
    return any(n is None or n > 1 for n in space)


def _halvings(before: Sequence[int | None], node: _Node) -> int:
    """How often the resolution halves (positive) or doubles (negative) from a source to a node."""
    pairs = list(zip(before, node.space, strict=False))
    if len(before) != len(node.space) or not _is_map(before) or not _is_map(node.space):
        return 0
    layer = node.call.layer
    strides = getattr(layer, "strides", None)
    if isinstance(layer, CONV_LAYERS) and strides is not None and set(_as_tuple(strides)) == {1}:
        return 0
    ratio = max((m / n for m, n in pairs if m and n), key=lambda r: abs(math.log(r)), default=1.0)
    if max(ratio, 1 / ratio) < _NEW_RESOLUTION:
        return 0
    return round(math.log2(ratio)) or (1 if ratio > 1 else -1)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _stage_nodes(probe: Trace, nodes: Sequence[_Node]) -> list[_Node]:
    """The maps that may end a stage: of the model's main spatial rank, learned, before any spatial output layer."""
    attention = tuple(f"{path}/" for path, layer in probe.layers.items() if isinstance(layer, _ATTENTION))
    maps = [node for node in nodes if _is_map(node.call.space) and node.learned]
    maps = [node for node in maps if not node.call.path.startswith(attention)]
    rank = max((len(node.call.space) for node in maps), default=0)
    maps = [node for node in maps if len(node.call.space) == rank]
    head = _spatial_output_layer(probe, nodes, rank)
    if head is not None:
        maps = [node for node in maps if nodes.index(node) < nodes.index(head)] or maps
    return [node for node in maps if not isinstance(node.call.layer, _NO_STAGE)]


def _spatial_output_layer(probe: Trace, nodes: Sequence[_Node], rank: int) -> _Node | None:
    """The last layer with weights before a spatial output, a segmentation mask say."""
    for output in keras.tree.flatten(probe.outputs):
        refs = {node.call.tensor.ref(): node for node in nodes}
        ends = [refs[ref] for ref in _self_or_upstream(output, refs)] if hasattr(output, "op") else []
        if not any(_is_map(node.call.space) and len(node.call.space) == rank for node in ends):
            continue
        if len(output.shape) < rank + 1:
            continue
        while ends:
            node = ends.pop(0)
            if getattr(node.call.layer, "weights", None):
                return node
            ends.extend(node.sources)
    return None


def _bridges(nodes: Sequence[_Node]) -> set[_Node]:
    """The nodes that every path from the first map to the outputs runs through."""
    mapped: set[_Node] = set()
    for node in nodes:
        if (_is_map(node.call.space) and node.learned) or any(source in mapped for source in node.sources):
            mapped.add(node)
    chain = [node for node in nodes if node in mapped]
    place = {node: i for i, node in enumerate(chain)}
    bridges, farthest = set(), 0
    for node in chain:
        if not any(source in mapped for source in node.sources):
            # A second source of maps (another input) runs beside everything before it.
            farthest = max(farthest, place[node])
        if place[node] >= farthest:
            bridges.add(node)
        farthest = max([farthest, *(place[consumer] for consumer in node.feeds if consumer in place)])
    # A source that starts late makes everything before it no bridge.
    late = max((place[n] for n in chain if not any(s in mapped for s in n.sources)), default=0)
    return {node for node in bridges if place[node] >= late}
