"""What a call does to the features of others: weigh them, pool them, add them up, or apply an activation."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import tensorflow as tf

from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import (
    CONV_LAYERS,
    CONV_LSTM_LAYERS,
    GLOBAL_POOLING_LAYERS,
    NORMALIZATIONS,
    PREDICTING_ACTIVATIONS,
    PROJECTIONS,
    activation_name,
)
from visualcnn_tf.introspect.operation_layers import JOINING_TYPES

#: Steps that are no activations.
NORMALIZATION, POOLING, RECURRENCE, SUM = "normalization", "pooling", "recurrence", "sum"
_JOINING = ("Concatenate", "Stack", *JOINING_TYPES)
_PASSING = ("Cast", "Identity", "IdentityN", "Reshape", "Transpose")
_ADDING = ("Add", "AddN", "AddV2")
# What activations of hidden layers and pooling are made of.
_HIDDEN = frozenset(
    ["Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Erf", "Erfc", "MaxPool", "MaxPool3D", "AvgPool", "AvgPool3D"]
)
_GATES = frozenset(["Sigmoid", "Tanh"])


def step_of(graph: CallGraph, call: LayerCall) -> str:
    """Return what a call does last: the name of its activation, a normalization, pooling, and so on; else ""."""
    layer = call.layer
    if isinstance(layer, GLOBAL_POOLING_LAYERS) or (isinstance(layer, CONV_LAYERS) and not projects(graph, call)):
        return POOLING
    if isinstance(layer, CONV_LSTM_LAYERS):
        return RECURRENCE
    if type(layer).__name__ in NORMALIZATIONS:
        return NORMALIZATION
    activation = activation_name(layer)
    if activation:
        return "" if activation == "linear" else activation
    if type(layer).__name__ in _JOINING:
        return ""
    if len(graph.sources[call]) > 1 and not projects(graph, call):
        return SUM
    return operation_step(call.tensor, graph.call_of)


def operation_step(tensor: tf.Tensor, known: Container[Any]) -> str:
    """Return what plain TensorFlow operations do between known tensors and one that is computed from them."""
    last = tensor.op
    while last.type in _PASSING and last.inputs[0].ref() not in known:
        last = last.inputs[0].op
    if last.type.lower() in PREDICTING_ACTIVATIONS:
        return str(last.type.lower())
    types, sources = _operations_to(tensor, known)
    if types & _HIDDEN or (types & _GATES and _multiplies_itself(last, known)):
        return "activation"
    return SUM if sources > 1 and last.type in _ADDING else ""


def _multiplies_itself(operation: tf.Operation, known: Container[Any]) -> bool:
    """Return whether an operation multiplies what is computed from known tensors by the same, as ``x * sigmoid(x)``."""
    return operation.type == "Mul" and all(
        factor.ref() in known or _operations_to(factor, known)[1] for factor in operation.inputs
    )


def _operations_to(tensor: tf.Tensor, known: Container[Any]) -> tuple[set[str], int]:
    """Return the types of the operations that lead from known tensors to another one, and how many these are."""
    types, seen, sources = {tensor.op.type}, {tensor.ref()}, 0
    todo = list(tensor.op.inputs)
    while todo:
        current = todo.pop()
        if current.ref() in seen:
            continue
        seen.add(current.ref())
        if current.ref() in known:
            sources += 1
        else:
            types.add(current.op.type)
            todo.extend(current.op.inputs)
    return types, sources


def projects(graph: CallGraph, call: LayerCall) -> bool:
    """Return whether a call has weights of its own that are no normalization's or activation's.

    A layer with layers inside, of which the trace tells more, has none of its own.
    """
    if isinstance(call.layer, PROJECTIONS):
        return True
    if not getattr(call.layer, "weights", None) or type(call.layer).__name__ in NORMALIZATIONS:
        return False
    is_container = any(source.path.startswith(f"{call.path}/") for source in graph.sources[call])
    return not is_container and not activation_name(call.layer)


def channels(call: LayerCall) -> int | None:
    """Return the number of channels of a call's output."""
    return call.shape[_channel_axis(call)] if call.shape else None


def channels_read(graph: CallGraph, call: LayerCall) -> int | None:
    """Return the number of channels that a call reads, None if unknown."""
    if call.input_tensor is not None and call.input_tensor.shape.rank is not None:
        return call.input_tensor.shape[_channel_axis(call)]  # type: ignore[no-any-return]
    return channels(graph.sources[call][0]) if graph.sources[call] else None


def _channel_axis(call: LayerCall) -> int:
    return 1 if call.data_format == "channels_first" else -1
