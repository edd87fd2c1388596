"""A batch normalization and the activation behind it, which is tapped, compiled as one.

Operation after operation, Keras's batch normalization and the activation behind it read and write their maps three
times; as one program of XLA's once. With many layers tapped, that wins back up to half of what heatmaps cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import activations

from visualcnn_tf.introspect.following import ACTIVATIONS
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.record import OutputRecorder
from visualcnn_tf.introspect.trace import LayerCall, Trace
from visualcnn_tf.ops.fast.xla import Compiled

# Of a layer `Activation`, which may be given any function.
_FUNCTIONS = (
    *(activations.celu, activations.elu, activations.gelu, activations.hard_sigmoid, activations.hard_silu),
    *(activations.hard_tanh, activations.leaky_relu, activations.log_sigmoid, activations.mish, activations.relu),
    *(activations.relu6, activations.selu, activations.sigmoid, activations.silu, activations.softplus),
    *(activations.softsign, activations.tanh),
)


def fused_blocks_to(taps: Sequence[LayerCall], probe: Trace) -> tuple[tuple[str, ...], ...]:
    """The paths of the layers of each chain that leads to a tap: a batch normalization, and activations behind it.

    Nothing but the next one reads what one of them returns, and each runs once.
    """
    runs = Counter(id(call.layer) for call in probe.calls)
    makers = {call.tensor.ref(): call for call in probe.calls if runs[id(call.layer)] == 1 and _is_simple(call)}
    tapped = {call.tensor.ref() for call in taps}
    found = []
    for tap in taps:
        chain = [makers[tap.tensor.ref()]] if tap.tensor.ref() in makers else []
        while chain and _is_activation(chain[0].layer):
            before = chain[0].taken.ref()
            is_inner = before in makers and before not in tapped and _is_only_reader(chain[0], probe)
            chain = [makers[before], *chain] if is_inner else []
        if len(chain) > 1:
            found.append(tuple(call.path for call in chain))
    return tuple(dict.fromkeys(found))


def _is_simple(call: LayerCall) -> bool:
    """Whether a call works number by number on one tensor, and leaves nothing behind."""
    layer = call.layer
    if call.tensor is None or call.obstacle or call.taken is None or call.frames is not None:
        return False
    if getattr(layer, "activity_regularizer", None) is not None:
        return False
    return type(layer) is keras.layers.BatchNormalization or _is_activation(layer)


def _is_activation(layer: Any) -> bool:
    if type(layer) is keras.layers.Activation:
        return layer.activation in _FUNCTIONS
    return isinstance(layer, keras.Operation) and type(layer).__name__ in ACTIVATIONS


def _is_only_reader(call: LayerCall, probe: Trace) -> bool:
    """Whether what a call takes goes nowhere else, be it to a layer, an operation of TensorFlow's or an output."""
    outputs = {tensor.ref() for tensor in flat_outputs(probe.outputs)}
    elsewhere = outputs | {other.tensor.ref() for other in probe.calls if other.tensor is not None}
    if call.taken.ref() in outputs:
        return False
    todo, seen = [call.taken], {call.tensor.ref()}
    while todo:
        readers = todo.pop().consumers()
        reached = {tensor.ref(): tensor for reader in readers for tensor in reader.outputs}
        # What has a state tells someone else: a message, a check, a variable.
        if any(reader.op_def.is_stateful for reader in readers) or (reached.keys() - seen) & elsewhere:
            return False
        todo += [tensor for reference, tensor in reached.items() if reference not in seen]
        seen |= reached.keys()
    return True


class FusedBlock:
    """Layers that run one after the other, as one program of XLA's.

    Args:
        layers: first to last.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        self.layers = tuple(layers)
        self._compiled = Compiled(self._run)

    def __call__(self, tensor: Any) -> Any:
        """What the last layer returns."""
        # The graph optimizer does not look into the program, and does less for what follows without a shape.
        return tf.ensure_shape(self._compiled(tensor), tensor.shape)

    def _run(self, tensor: Any) -> Any:
        for layer in self.layers:
            tensor = layer(tensor)
        return tensor


class FusedBlockRecorder(OutputRecorder):
    """Collects what each watched layer returns, while the first layer of each chain runs all of it.

    The other layers hand on what they are given, which is the chain's result already.
    """

    def __init__(self, layers: Iterable[Any], chains: Sequence[FusedBlock]) -> None:
        super().__init__([*layers, *(layer for chain in chains for layer in chain.layers)])
        self.chains = {id(layer): chain for chain in chains for layer in chain.layers}
        self.done: set[FusedBlock] = set()
        self.is_inside = False

    def instead(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of the layer's chain, unless its normalization is to train, whatever the model does."""
        chain = self.chains.get(id(layer))
        if chain is None or self.is_inside:
            return NotImplemented
        if layer is not chain.layers[0]:
            return self.returned(layer, args[0]) if chain in self.done else NotImplemented
        self.done.discard(chain)
        if kwargs.get("training"):
            return NotImplemented
        self.done.add(chain)
        return self.returned(layer, self._result(chain, args[0]))

    def returned(self, layer: Any, outputs: Any) -> Any:
        """Appends the outputs, but not those of layers inside of the program."""
        return outputs if self.is_inside else super().returned(layer, outputs)

    def _result(self, chain: FusedBlock, tensor: Any) -> Any:
        self.is_inside = True
        try:
            return chain(tensor)
        finally:
            self.is_inside = False
