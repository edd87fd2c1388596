"""The convolutions in the gates of squeeze-and-excitation: on what pooling over all positions has left."""

from __future__ import annotations

from collections.abc import Sequence

from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import CONV_LAYERS, GLOBAL_POOLING_LAYERS
from visualcnn_tf.introspect.sizes import is_map, space_of
from visualcnn_tf.introspect.trace import Trace


def gate_calls(trace: Trace, calls: Sequence[LayerCall]) -> set[LayerCall]:
    """Return those of some calls that have 1x1 maps because their input was pooled over all positions.

    A map that convolutions have shrunk to 1x1 is none of these.
    """
    if all(is_map(call.spatial_shape) for call in calls):
        return set()
    graph = CallGraph(call for call in trace.calls if call.tensor is not None and not call.untappable_because)
    pooled: set[LayerCall] = set()
    for call in graph.calls:
        if not is_map(call.spatial_shape) and _is_pooled(call, graph.sources[call], pooled):
            pooled.add(call)
    return pooled.intersection(calls)


def _is_pooled(call: LayerCall, sources: Sequence[LayerCall], pooled: set[LayerCall]) -> bool:
    if isinstance(call.layer, GLOBAL_POOLING_LAYERS) or not pooled.isdisjoint(sources):
        return True
    # A convolution may itself shrink a map to 1x1: then it reads more than one position.
    read = call.input_tensor
    shrinks = isinstance(call.layer, CONV_LAYERS) and (read is None or is_map(space_of(read.shape, call.data_format)))
    return not shrinks and any(is_map(source.spatial_shape) for source in sources)
