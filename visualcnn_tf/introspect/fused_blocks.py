"""Fused blocks: a batch normalization and the activations after it, compiled as one XLA program.

Run one by one, Keras's batch normalization and activation read and write their maps three times; compiled as one
program, once. With many layers tapped, that wins back up to half of what heatmaps cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import activations

from visualcnn_tf.introspect.graph import CallGraph
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import ACTIVATIONS
from visualcnn_tf.introspect.record import OutputRecorder
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.ops.fast.xla import Compiled

# What a layer `Activation`, which may be given any function, may compute in a fused block.
_FUNCTIONS = (
    *(activations.celu, activations.elu, activations.gelu, activations.hard_sigmoid, activations.hard_silu),
    *(activations.hard_tanh, activations.leaky_relu, activations.log_sigmoid, activations.mish, activations.relu),
    *(activations.relu6, activations.selu, activations.sigmoid, activations.silu, activations.softplus),
    *(activations.softsign, activations.tanh),
)


def fused_blocks_to(taps: Sequence[LayerCall], trace: Trace) -> tuple[tuple[str, ...], ...]:
    """Return the paths of the layers of each fused block that ends at a tap.

    A block is a batch normalization and the activations after it. Each of its layers runs once, and only the next
    one reads its output.
    """
    graph = _graph_of_all(trace)
    fusable = _fusable_calls(trace)
    read_elsewhere = {call.tensor.ref() for call in [*taps, *_read_outside_layers(trace, graph)]}
    inner = {reference: call for reference, call in fusable.items() if reference not in read_elsewhere}
    ends = [fusable[tap.tensor.ref()] for tap in taps if tap.tensor.ref() in fusable]
    blocks = [_block_ending_at(end, inner, graph) for end in ends]
    return tuple(dict.fromkeys(tuple(call.path for call in block) for block in blocks if len(block) > 1))


def _graph_of_all(trace: Trace) -> CallGraph:
    """Link all calls of the model's own graph, also those that can't be tapped."""
    model_graph = trace.inputs[0].graph
    return CallGraph(call for call in trace.calls if call.tensor is not None and call.tensor.graph is model_graph)


def _block_ending_at(end: LayerCall, inner: Mapping[Any, LayerCall], graph: CallGraph) -> list[LayerCall]:
    """Return the calls from a batch normalization to an end, or an empty list if there is no such block.

    Args:
        end: the last call.
        inner: calls that may come before it, by reference of their outputs.
        graph: all calls.
    """
    block = [end]
    while _is_activation(block[0].layer):
        reference = block[0].input_tensor.ref()
        consumers = graph.consumers[graph.call_of[reference]] if reference in inner else []
        if consumers != [graph.call_of[block[0].tensor.ref()]]:
            return []
        block = [inner[reference], *block]
    return block


def _fusable_calls(trace: Trace) -> dict[Any, LayerCall]:
    """Return the calls that may be part of a block, by reference of their outputs."""
    runs = Counter(id(call.layer) for call in trace.calls)
    return {call.tensor.ref(): call for call in trace.calls if runs[id(call.layer)] == 1 and _is_fusable(call)}


def _is_fusable(call: LayerCall) -> bool:
    """Return whether a call works number by number on one tensor, with no other effect."""
    layer = call.layer
    if call.tensor is None or call.untappable_because or call.input_tensor is None or call.time_steps is not None:
        return False
    if getattr(layer, "activity_regularizer", None) is not None:
        return False
    return type(layer) is keras.layers.BatchNormalization or _is_activation(layer)


def _is_activation(layer: keras.Operation) -> bool:
    if type(layer) is keras.layers.Activation:
        return layer.activation in _FUNCTIONS
    return isinstance(layer, keras.Operation) and type(layer).__name__ in ACTIVATIONS


def _read_outside_layers(trace: Trace, graph: CallGraph) -> set[LayerCall]:
    """Return the calls whose outputs are read by an output of the model or by an operation with side effects."""
    tensors = list(trace.output_tensors)
    operations = trace.inputs[0].graph.get_operations()
    # Messages, checks and variables are stateful.
    stateful = {kind for kind, operation in {op.type: op for op in operations}.items() if operation.op_def.is_stateful}
    for operation in operations:
        if operation.type in stateful:
            tensors += operation.inputs
    return {call for tensor in tensors for call in graph.nearest(tensor)}


class FusedBlock:
    """Layers that run one after the other, compiled as one XLA program.

    Args:
        layers: first to last.
    """

    def __init__(self, layers: Sequence[keras.Operation]) -> None:
        self.layers = tuple(layers)
        self._compiled = Compiled(self._run)

    def __call__(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return the output of the last layer."""
        # The graph optimizer does not look into the program, and does less for what follows without a shape.
        return tf.ensure_shape(self._compiled(tensor), tensor.shape)

    def _run(self, tensor: tf.Tensor) -> tf.Tensor:
        for layer in self.layers:
            tensor = layer(tensor)
        return tensor


class FusedBlockRecorder(OutputRecorder):
    """Collects the outputs of each watched layer, and runs fused blocks.

    The call of a block's first layer runs the whole block. The other layers return their input, which is the block's
    output already.

    Args:
        layers: the layers to watch.
        blocks: the fused blocks.
    """

    def __init__(self, layers: Iterable[keras.Operation], blocks: Sequence[FusedBlock]) -> None:
        super().__init__([*layers, *(layer for block in blocks for layer in block.layers)])
        self.block_of = {id(layer): block for block in blocks for layer in block.layers}
        self.finished: set[FusedBlock] = set()
        self.is_inside_block = False

    def replacement(self, layer: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the output of the layer's block, except when its normalization trains whatever the model does."""
        block = self.block_of.get(id(layer))
        if block is None or self.is_inside_block:
            return NotImplemented
        if layer is not block.layers[0]:
            return self.on_call_end(layer, args[0]) if block in self.finished else NotImplemented
        self.finished.discard(block)
        if kwargs.get("training"):
            return NotImplemented
        self.finished.add(block)
        return self.on_call_end(layer, self._run(block, args[0]))

    def on_call_end(self, layer: keras.Operation, outputs: Any) -> Any:
        """Append the outputs, unless the layer runs inside a block's program."""
        return outputs if self.is_inside_block else super().on_call_end(layer, outputs)

    def _run(self, block: FusedBlock, tensor: tf.Tensor) -> tf.Tensor:
        self.is_inside_block = True
        try:
            return block(tensor)
        finally:
            self.is_inside_block = False
