"""From a convolution to the last of the normalizations, dropouts and activations that follow it."""

from __future__ import annotations

from collections.abc import Iterable

import keras

from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import ACTIVATIONS, NORMALIZATIONS
from visualcnn_tf.introspect.trace import Trace

_FOLLOWING = ACTIVATIONS.union(
    NORMALIZATIONS,
    ["Activation"],
    ["Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"],
)


def follow_activations(trace: Trace, calls: Iterable[LayerCall]) -> list[LayerCall]:
    """Return for each call the last normalization, dropout or activation that follows it, or the call itself.

    A layer follows another if no other layer reads the same output. Tapping the activation, not the convolution, is
    cheaper, because TensorFlow can then compute the activation in place.
    """
    graph = CallGraph(call for call in trace.calls if call.tensor is not None and not call.untappable_because)
    return list(dict.fromkeys(_last_following(graph, call) for call in calls))


def _last_following(graph: CallGraph, call: LayerCall) -> LayerCall:
    while True:
        node = graph.call_of[call.tensor.ref()]
        following = graph.consumers[node]
        if len(following) != 1 or graph.sources[following[0]] != [node] or not _follows(following[0], call):
            return call
        call = following[0]


def _follows(call: LayerCall, before: LayerCall) -> bool:
    is_known = isinstance(call.layer, keras.Operation) and type(call.layer).__name__ in _FOLLOWING
    # A normalization of all time steps of a ConvLSTM does not tell that it has them.
    return is_known and call.shape == before.shape and call.spatial_shape == before.spatial_shape
