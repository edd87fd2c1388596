"""One trial run of a model in a scratch graph: which layers run, in which order, with which outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.record import Recorder, python_call, recording

_SEQUENCE_LAYERS = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)


@dataclass(eq=False)
class LayerCall:
    """One call of one layer during the trial run.

    Attributes:
        path: the layer's path in the model.
        layer: the layer.
        index: which call of this layer it is, from 0.
        tensor: what it returned, in the scratch graph; None unless it is one dense tensor of the model's own graph.
        obstacle: why its output can't be tapped, or "".
        taken: the one tensor that it was given, or None where it was given more, or told to train.
        frames: number of time steps, where the call is one of those of a TimeDistributed layer.
        data_format: where the channels stand in ``tensor``.
    """

    path: str
    layer: Any
    index: int
    tensor: Any = None
    obstacle: str = ""
    taken: Any = None
    frames: int | None = None
    data_format: str = "channels_last"

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the output, or () when there is no tensor."""
        return () if self.tensor is None or self.tensor.shape.rank is None else tuple(self.tensor.shape)

    @property
    def returns_sequence(self) -> bool:
        """Whether the layer itself returns one map for each time step, ``(B, T, h, w, C)``."""
        return isinstance(self.layer, _SEQUENCE_LAYERS) and self.layer.return_sequences

    @property
    def space(self) -> tuple[int | None, ...]:
        """Spatial size of the output, ``(h, w)``, or () for an output without any."""
        shape = self.shape[:1] + self.shape[2:] if self.returns_sequence else self.shape
        if not 3 <= len(shape) <= 5 or isinstance(self.layer, keras.layers.TimeDistributed):
            return ()
        return shape[2:] if self.data_format == "channels_first" else shape[1:-1]


@dataclass
class Trace:
    """The record of a trial run.

    Attributes:
        inputs: the input tensors, flat.
        outputs: what the model returned.
        calls: all calls of inner layers, in the order in which they ended.
        layers: every layer of the model by path, also those that did not run.
    """

    inputs: Sequence[Any]
    outputs: Any
    calls: list[LayerCall]
    layers: dict[str, Any]


class _TraceRecorder(Recorder):
    def __init__(self, layers: dict[str, Any]) -> None:
        super().__init__(layers.values())
        self.paths = {id(layer): path for path, layer in layers.items()}
        self.calls: list[LayerCall] = []
        self.counts: dict[int, int] = {}
        self.steps: list[int | None] = []
        self.taken: list[Any] = []

    def started(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        is_plain = len(args) == 1 and tf.is_tensor(args[0]) and not kwargs.get("training")
        self.taken.append(args[0] if is_plain else None)
        if isinstance(layer, keras.layers.TimeDistributed):
            self.steps.append(args[0].shape[1])

    def returned(self, layer: Any, outputs: Any) -> Any:
        if isinstance(layer, keras.layers.TimeDistributed):
            self.steps.pop()
        index = self.counts.get(id(layer), 0)
        self.counts[id(layer)] = index + 1
        call = LayerCall(self.paths[id(layer)], layer, index, outputs, taken=self.taken.pop())
        if self.steps:
            call.frames = self.steps[0]
            if len(self.steps) > 1:
                call.obstacle = "it stands in nested TimeDistributed layers; move the inner one out"
            elif call.frames is None:
                call.obstacle = (
                    "it stands in a TimeDistributed layer with an unknown number of steps; "
                    "give the model's input a fixed number, or pass `input_shape`"
                )
        self.calls.append(call)
        return outputs


def probe(model: Any, inputs: ModelInputs) -> Trace:
    """Runs the model once, symbolically, in inference mode.

    Raises:
        IncompatibleModelError: when the model can't be traced into a graph.
    """
    seen: dict[str, Any] = {}

    def run(*tensors: Any) -> Any:
        if not model.built:
            model(inputs.pack(tensors), training=False)  # building may run layers, too
        # tf.function traces twice when variables are made: the last trace is the one that counts.
        layers = named_layers(model)
        trace = _TraceRecorder(layers)
        with recording(trace, inline=inlined(model, layers.values())):
            outputs = model(inputs.pack(tensors), training=False)
        seen.update(inputs=tensors, outputs=outputs, calls=trace.calls, layers=layers)
        return keras.tree.flatten(outputs)

    specs = [tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in inputs.specs]
    try:
        graph = tf.function(run, autograph=False).get_concrete_function(*specs).graph
    except Exception as error:
        raise IncompatibleModelError(
            f"`model` must run in a TensorFlow graph on inputs of shape {[spec.shape for spec in inputs.specs]}. "
            f"Received: {model.name!r}, which failed with {type(error).__name__}: {error}"
        ) from error
    result = Trace(**seen)
    _judge(result.calls, graph)
    _set_data_formats(result)
    return result


def inlined(model: Any, layers: Iterable[Any]) -> list[Any]:
    """The model and those of its layers whose ``call`` is a ``tf.function``."""
    return [layer for layer in (model, *layers) if python_call(layer) is not None]


def _judge(calls: list[LayerCall], graph: Any) -> None:
    """Keeps one dense tensor for each call, and notes why there is none."""
    for call in calls:
        outputs = keras.tree.flatten(call.tensor)
        call.tensor = outputs[0] if len(outputs) == 1 and isinstance(outputs[0], tf.Tensor) else None
        if call.obstacle:
            continue
        if call.tensor is None:
            call.obstacle = (
                f"it returns {len(outputs)} outputs" if len(outputs) != 1 else "its output is no dense tensor"
            )
        elif call.tensor.graph is not graph:
            call.obstacle = "it runs inside a loop, a branch or a tf.function, out of reach of the model's graph"


def _set_data_formats(result: Trace) -> None:
    """Where the channels stand: as the layer says, else as in what it reads, else Keras's default."""
    known: dict[Any, str] = {}
    for call in result.calls:
        if call.tensor is None or call.obstacle:
            continue
        own = getattr(call.layer, "data_format", None)
        if own is None:
            sources = nearest_upstream(call.tensor, known)
            own = known[sources[0]] if sources else keras.config.image_data_format()
        call.data_format = own
        known.setdefault(call.tensor.ref(), own)


def nearest_upstream(tensor: Any, known: Any) -> list[Any]:
    """References of the nearest tensors upstream of ``tensor`` that are in ``known``, nearest first."""
    found: dict[Any, None] = {}
    seen = set()
    todo = list(tensor.op.inputs)
    while todo:
        current = todo.pop(0)
        reference = current.ref()
        if reference in seen:
            continue
        seen.add(reference)
        if reference in known:
            found[reference] = None
        else:
            todo.extend(current.op.inputs)
    return list(found)


def upstream(tensor: Any) -> set[Any]:
    """References of all tensors that ``tensor`` is computed from, itself included."""
    seen = set()
    todo = [tensor]
    while todo:
        current = todo.pop()
        if current.ref() not in seen:
            seen.add(current.ref())
            todo.extend(current.op.inputs)
    return seen


def is_upstream(source: Any, tensor: Any) -> bool:
    """Whether ``tensor`` is computed from ``source``."""
    return source is tensor or bool(nearest_upstream(tensor, {source.ref()}))
