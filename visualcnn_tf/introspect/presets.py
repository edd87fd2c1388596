"""The presets of ``layers``: convolutions and pooling, the last map of each resolution, the last map of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from visualcnn_tf.introspect.encoder_decoder import from_bottleneck
from visualcnn_tf.introspect.gates import gate_calls
from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.image_maps import data_format, graph_to_outputs, image_maps, learned_calls
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import CONV_LAYERS
from visualcnn_tf.introspect.moving import only_moves
from visualcnn_tf.introspect.predictions import feature_calls
from visualcnn_tf.introspect.resolution import Resolution, resolutions
from visualcnn_tf.introspect.sizes import is_map
from visualcnn_tf.introspect.tokens.attended import read_by_attention
from visualcnn_tf.introspect.trace import Trace


def conv_calls(trace: Trace, explains_target: bool = False) -> list[LayerCall]:
    """Return every call of a convolution or local pooling layer, but for those in the gates of squeeze-and-excitation.

    A gate's 1x1 maps tell which channels matter; they have no position.

    Args:
        trace: of the model.
        explains_target: without effect: they are the same for all methods.
    """
    found = [call for call in trace.calls if isinstance(call.layer, CONV_LAYERS) and call.is_tappable]
    gates = gate_calls(trace, found)
    return [call for call in found if call not in gates]


def stage_calls(trace: Trace, explains_target: bool = False) -> list[LayerCall]:
    """Return the last feature map of each resolution on the way to the outputs.

    Models that shrink, grow and shrink again have one for each run of shrinking or growing. The last one of a
    transformer is what its last attention reads, for methods that explain a target; for these the stages of an
    encoder and decoder start at the bottleneck.

    Args:
        trace: of the model.
        explains_target: whether a method explains a target by the maps.
    """
    trace = _towards_classes(trace)
    graph = graph_to_outputs(trace)
    learned = learned_calls(graph)
    maps = image_maps(trace, graph, learned)
    resolution = resolutions(graph, _others(learned, maps))
    features = feature_calls(trace, graph, maps, learned)
    bottlenecks = _bottlenecks(graph, learned, features)
    ends: dict[Resolution, LayerCall] = {}
    for call in _candidates(graph, maps, features):
        # What all later maps are computed from represents its resolution better than the end of one of its branches.
        if call in bottlenecks or ends.get(resolution[call]) not in bottlenecks:
            ends[resolution[call]] = call
    stages = sorted(ends.values(), key=trace.calls.index)
    if explains_target and stages:
        of_last = {call for call in bottlenecks if resolution[call] == resolution[stages[-1]]}
        stages[-1] = read_by_attention(trace, graph, stages[-1], of_last)
        stages = from_bottleneck(stages, trace.output_tensors, data_format(trace))
    return stages


def _bottlenecks(graph: CallGraph, learned: Sequence[LayerCall], features: set[LayerCall]) -> set[LayerCall]:
    """Return the calls that all later features are computed from."""
    with_maps = graph.descendants(call for call in learned if is_map(call.spatial_shape))
    return graph.bottlenecks([call for call in with_maps if call in features])


def last_calls(trace: Trace, explains_target: bool = False) -> list[LayerCall]:
    """Return the last feature map before the head, which is what makes classes, masks or boxes of feature maps."""
    return stage_calls(trace, explains_target)[-1:]


#: The presets by name: from a trace, and whether a method explains a target, to calls.
PRESETS: dict[str, Callable[[Trace, bool], list[LayerCall]]] = {
    "conv": conv_calls,
    "stages": stage_calls,
    "last": last_calls,
}


def _others(learned: Sequence[LayerCall], maps: Sequence[LayerCall]) -> set[LayerCall]:
    """Return the calls that have as many spatial axes as the model's maps without having such maps."""
    ranks = {len(call.spatial_shape) for call in maps}
    found = {call for call in learned if len(call.spatial_shape) in ranks and is_map(call.spatial_shape)}
    return found.difference(maps)


def _candidates(graph: CallGraph, maps: list[LayerCall], features: set[LayerCall]) -> list[LayerCall]:
    """Return the maps that may end a stage: features, not predictions, which more was done to than to move them."""
    maps = [call for call in maps if call in features] or maps
    return [call for call in maps if not only_moves(call, graph.sources[call])]


def _towards_classes(trace: Trace) -> Trace:
    """Return the trace with the outputs without positions alone, if there are any.

    They are classes, or other values for the whole image. Maps beside them are there to be looked at, or help to
    train.
    """
    if len(trace.output_tensors) < 2:
        return trace
    graph = graph_to_outputs(trace)
    whole = [
        output
        for output in trace.output_tensors
        if output.shape.rank in (1, 2) and not any(is_map(call.spatial_shape) for call in graph.nearest(output))
    ]
    return replace(trace, outputs=whole) if whole else trace
