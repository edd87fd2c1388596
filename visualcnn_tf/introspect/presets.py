"""The presets of ``layers``: convolutions and pooling, the last map of each resolution, the last map of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras

from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.layer_kinds import ATTENTION_LAYERS, CONV_LAYERS, RESHAPING_LAYERS
from visualcnn_tf.introspect.resolution import Resolution, is_map, resolutions
from visualcnn_tf.introspect.trace import LayerCall, Trace
from visualcnn_tf.introspect.upstream import upstream


def conv_calls(trace: Trace) -> list[LayerCall]:
    """Return every call of a convolution or local pooling layer."""
    return [call for call in trace.calls if isinstance(call.layer, CONV_LAYERS) and call.is_tappable]


def stage_calls(trace: Trace) -> list[LayerCall]:
    """Return the last feature map of each resolution on the way to the outputs.

    Models that shrink, grow and shrink again have one for each run of shrinking or growing.
    """
    graph = _graph_to_outputs(trace)
    resolution = resolutions(graph)
    maps = _learned_maps(graph)
    bottlenecks = graph.bottlenecks(graph.descendants(maps))
    ends: dict[Resolution, LayerCall] = {}
    for call in _candidates(trace, graph, maps):
        # What all later maps are computed from represents its resolution better than the end of one of its branches.
        if call in bottlenecks or ends.get(resolution[call]) not in bottlenecks:
            ends[resolution[call]] = call
    return sorted(ends.values(), key=trace.calls.index)


def last_calls(trace: Trace) -> list[LayerCall]:
    """Return the last feature map before the head or, in a model with spatial outputs, before the output layer."""
    return stage_calls(trace)[-1:]


#: The presets by name.
PRESETS: dict[str, Callable[[Trace], list[LayerCall]]] = {
    "conv": conv_calls,
    "stages": stage_calls,
    "last": last_calls,
}


def _graph_to_outputs(trace: Trace) -> CallGraph:
    """Link the calls that the model's outputs are computed from."""
    needed = upstream(*trace.output_tensors)
    return CallGraph(call for call in trace.calls if _is_node(call) and call.tensor.ref() in needed)


def _is_node(call: LayerCall) -> bool:
    is_tensor = call.tensor is not None and not call.untappable_because
    return is_tensor and call.is_first_time_step and not isinstance(call.layer, keras.layers.TimeDistributed)


def _learned_maps(graph: CallGraph) -> list[LayerCall]:
    """Return the feature maps that a layer with weights, a convolution or a pooling layer has contributed to."""
    learned = graph.descendants(call for call in graph.calls if _learns(call.layer))
    return [call for call in learned if is_map(call.spatial_shape)]


def _learns(layer: keras.Operation) -> bool:
    has_weights = bool(getattr(layer, "weights", None)) and not isinstance(layer, keras.layers.Normalization)
    return has_weights or isinstance(layer, CONV_LAYERS)


def _candidates(trace: Trace, graph: CallGraph, maps: Sequence[LayerCall]) -> list[LayerCall]:
    """Return the maps that may end a stage: of the model's main rank, and before any spatial output layer."""
    maps = _outside_attention(trace, maps)
    rank = max((len(call.spatial_shape) for call in maps), default=0)
    maps = [call for call in maps if len(call.spatial_shape) == rank]
    output_layer = _spatial_output_layer(trace, graph, rank)
    if output_layer is not None:
        before = set(graph.calls[: graph.calls.index(output_layer)])
        maps = [call for call in maps if call in before] or maps
    return [call for call in maps if not isinstance(call.layer, RESHAPING_LAYERS)]


def _outside_attention(trace: Trace, calls: Sequence[LayerCall]) -> list[LayerCall]:
    attention = tuple(f"{path}/" for path, layer in trace.layers.items() if isinstance(layer, ATTENTION_LAYERS))
    return [call for call in calls if not call.path.startswith(attention)]


def _spatial_output_layer(trace: Trace, graph: CallGraph, rank: int) -> LayerCall | None:
    """Return the last layer with weights before a spatial output, such as a segmentation mask."""
    for output in trace.output_tensors:
        ends = graph.nearest(output)
        if len(output.shape) > rank and any(_is_map_of_rank(call, rank) for call in ends):
            for call in graph.ancestors(ends):
                if getattr(call.layer, "weights", None):
                    return call
    return None


def _is_map_of_rank(call: LayerCall, rank: int) -> bool:
    return len(call.spatial_shape) == rank and is_map(call.spatial_shape)
