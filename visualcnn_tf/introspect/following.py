"""From a convolution to the end of what only normalizes and activates its output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import keras

from visualcnn_tf.introspect.trace import LayerCall, Trace, nearest_upstream

#: By name, because Keras's functions, such as `keras.ops.relu` in a functional model, have no public classes.
ACTIVATIONS = frozenset(
    [
        *("ELU", "LeakyReLU", "PReLU", "ReLU", "Celu", "Elu", "Gelu", "HardSigmoid", "HardSilu", "HardTanh"),
        *("LeakyRelu", "LogSigmoid", "Relu", "Relu6", "Selu", "Sigmoid", "Silu", "Softplus", "Softsign", "Tanh"),
    ]
)
_FOLLOWING = ACTIVATIONS.union(
    ["Activation"],
    ["BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization"],
    ["Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"],
)


def after_activations(probe: Trace, calls: Iterable[LayerCall]) -> list[LayerCall]:
    """For each call the last of the normalizations, dropouts and activations that follow it, or the call itself.

    It is followed as long as nothing else reads what it returns. Reading the activation, not the convolution, is
    cheaper, because TensorFlow can then work in place on what the convolution returns.
    """
    makers: dict[Any, LayerCall] = {}
    for call in probe.calls:
        if call.tensor is not None and not call.obstacle:
            makers.setdefault(call.tensor.ref(), call)
    sources = {call: nearest_upstream(call.tensor, makers) for call in makers.values()}
    readers: dict[Any, list[LayerCall]] = defaultdict(list)
    for reader, references in sources.items():
        for reference in references:
            readers[reference].append(reader)

    def end_of(call: LayerCall) -> LayerCall:
        while True:
            following = readers[call.tensor.ref()]
            if len(following) != 1 or not _follows(call, following[0]) or len(sources[following[0]]) != 1:
                return call
            call = following[0]

    return list(dict.fromkeys(end_of(call) for call in calls))


def _follows(call: LayerCall, reader: LayerCall) -> bool:
    is_known = isinstance(reader.layer, keras.Operation) and type(reader.layer).__name__ in _FOLLOWING
    return is_known and reader.shape == call.shape
