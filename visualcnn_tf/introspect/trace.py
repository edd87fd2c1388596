"""Trace one run of a model in a scratch graph: which layers run, in which order, with which outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.introspect.batch_axis import Found
from visualcnn_tf.introspect.elements import Elements
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.out_of_reach import IN_ANOTHER_GRAPH, IN_VECTORIZED_MAP, first_elements, is_elsewhere
from visualcnn_tf.introspect.record import Recorder, python_call, recording
from visualcnn_tf.introspect.upstream import nearest_upstream

_SEQUENCE_LAYERS = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)


@dataclass(eq=False)
class LayerCall:
    """One call of one layer during the traced run.

    Attributes:
        path: the layer's path in the model.
        layer: the layer.
        index: which call of this layer it is, from 0.
        tensor: the output, in the scratch graph; None unless it is one dense tensor.
        outputs: all tensors that the call returned, flat.
        untappable_because: why the output can't be tapped, or "".
        is_out_of_reach: whether it runs on one element of many, or in another graph, see ``introspect.out_of_reach``.
        input_tensor: the layer's one input, or None for several inputs and for a call with ``training=True``.
        time_steps: number of time steps, if the call is one of those that a TimeDistributed layer makes.
        time_step: which of them it is made for, from 0.
        calls_a_step: how many calls of the layer are made for each of them.
        data_format: where the channels are in ``tensor``, ``"channels_last"`` or ``"channels_first"``.
        elements: how elements of each example are merged into the batch, once the call is selected; None if they are
            not, see ``introspect.elements``.
    """

    path: str
    layer: keras.Operation
    index: int
    tensor: tf.Tensor = None
    outputs: Sequence[Any] = ()
    untappable_because: str = ""
    is_out_of_reach: bool = False
    input_tensor: tf.Tensor = None
    time_steps: int | None = None
    time_step: int = 0
    calls_a_step: int = 1
    data_format: str = "channels_last"
    elements: Elements | None = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the output, or () when there is no tensor."""
        return () if self.tensor is None or self.tensor.shape.rank is None else tuple(self.tensor.shape)

    @property
    def returns_sequence(self) -> bool:
        """Whether the layer itself returns one map for each time step, ``(B, T, h, w, C)``."""
        return isinstance(self.layer, _SEQUENCE_LAYERS) and self.layer.return_sequences

    @property
    def spatial_shape(self) -> tuple[int | None, ...]:
        """Spatial shape of the output, ``(h, w)``, or () for an output without spatial axes."""
        shape = self.shape[:1] + self.shape[2:] if self.returns_sequence else self.shape
        if not 3 <= len(shape) <= 5 or isinstance(self.layer, keras.layers.TimeDistributed):
            return ()
        return shape[2:] if self.data_format == "channels_first" else shape[1:-1]

    @property
    def is_tappable(self) -> bool:
        """Whether a heatmap can be made of the output."""
        return not self.untappable_because and bool(self.spatial_shape)

    @property
    def is_first_time_step(self) -> bool:
        """Whether the call stands for all those that a TimeDistributed layer makes; True outside of such layers."""
        return self.time_step == 0

    @property
    def indices_of_steps(self) -> tuple[int, ...]:
        """The indices of the same call in each time step, of a call in the first; its own index without steps."""
        return tuple(self.index + step * self.calls_a_step for step in range(self.time_steps or 1))


@dataclass
class Trace:
    """The record of one run of a model.

    Attributes:
        inputs: the input tensors, flat.
        outputs: the model's outputs, in their own structure.
        calls: all calls of inner layers, in the order in which they ended.
        layers: every layer of the model by path, also those that did not run.
        model: the model.
        model_inputs: the inputs that it was traced on.
        sized: the trace in which every size is known, once :func:`introspect.sized_trace.sized_trace` has made it.
        batch_axes: where the batch is in every tensor, once :func:`introspect.batch_axes.batch_axes` has found out.
    """

    inputs: Sequence[tf.Tensor]
    outputs: Any
    calls: list[LayerCall]
    layers: dict[str, keras.Operation]
    model: keras.Model
    model_inputs: ModelInputs
    sized: Trace | None = None
    batch_axes: Found | None = None

    def calls_of(self, layer: keras.Operation) -> list[LayerCall]:
        """Return the calls of a layer, all time steps together."""
        return [call for call in self.calls if call.layer is layer and call.is_first_time_step]

    def same_call(self, call: LayerCall) -> LayerCall | None:
        """Return the call of the same layer in this trace, of a call in another trace of the model."""
        return next((one for one in self.calls if (one.path, one.index) == (call.path, call.index)), None)

    @property
    def output_tensors(self) -> list[tf.Tensor]:
        """The model's outputs that are tensors of the scratch graph, flat."""
        return [tensor for tensor in keras.tree.flatten(self.outputs) if hasattr(tensor, "op")]


def trace_model(model: keras.Model, inputs: ModelInputs) -> Trace:
    """Run the model once, symbolically, in inference mode.

    Raises:
        IncompatibleModelError: if the model can't be traced into a graph.
    """
    last: dict[str, Any] = {}

    def run(*tensors: tf.Tensor) -> list[tf.Tensor]:
        if not model.built:
            model(inputs.pack(tensors), training=False)  # building may run layers, too
        layers = named_layers(model)
        recorder = _TraceRecorder(layers)
        with recording(recorder, inline=tf_function_layers(model, layers.values())):
            outputs = model(inputs.pack(tensors), training=False)
        # tf.function traces twice when variables are made: the last trace is the one that counts.
        last.update(recorder=recorder, inputs=tensors, outputs=outputs, layers=layers)
        return keras.tree.flatten(outputs)  # type: ignore[no-any-return]

    specs = [tf.TensorSpec(spec.shape, spec.dtype, spec.name) for spec in inputs.specs]
    try:
        graph = tf.function(run, autograph=False).get_concrete_function(*specs).graph
    except Exception as error:
        raise IncompatibleModelError(
            f"`model` must run in a TensorFlow graph on inputs of shape {[spec.shape for spec in inputs.specs]}. "
            f"Received: {model.name!r}, which failed with {type(error).__name__}: {error}"
        ) from error
    calls = last.pop("recorder").finished_calls(graph, last["outputs"])
    return Trace(calls=calls, model=model, model_inputs=inputs, **last)


def tf_function_layers(model: keras.Model, layers: Iterable[keras.Operation]) -> list[keras.Operation]:
    """Return the model and those of its layers whose ``call`` is a ``tf.function``."""
    return [layer for layer in (model, *layers) if python_call(layer) is not None]


class _TraceRecorder(Recorder):
    """Make a :class:`LayerCall` of each call of a layer."""

    def __init__(self, layers: dict[str, keras.Operation]) -> None:
        super().__init__(layers.values())
        self.paths = {id(layer): path for path, layer in layers.items()}
        self.calls: list[tuple[LayerCall, Any]] = []
        self.counts = dict.fromkeys(self.paths, 0)
        # Of the layers that are running, outermost first: their inputs, and the time steps of TimeDistributed ones.
        self.open_inputs: list[tf.Tensor | None] = []
        self.open_time_steps: list[int | None] = []
        self.first_inside: list[int] = []  # number of the first call that each of these makes, among all

    def on_call_begin(self, layer: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        is_plain = len(args) == 1 and isinstance(args[0], tf.Tensor) and not kwargs.get("training")
        self.open_inputs.append(args[0] if is_plain else None)
        if isinstance(layer, keras.layers.TimeDistributed):
            self.open_time_steps.append(args[0].shape[1])
            self.first_inside.append(len(self.calls))

    def on_call_end(self, layer: keras.Operation, outputs: Any) -> Any:
        if isinstance(layer, keras.layers.TimeDistributed):
            _number_time_steps([call for call, _ in self.calls[self.first_inside.pop() :]], self.open_time_steps.pop())
        call = LayerCall(
            self.paths[id(layer)],
            layer,
            self.counts[id(layer)],
            untappable_because=_time_steps_problem(self.open_time_steps),
            input_tensor=self.open_inputs.pop(),
            time_steps=self.open_time_steps[0] if self.open_time_steps else None,
        )
        self.counts[id(layer)] += 1
        self.calls.append((call, outputs))
        return outputs

    def finished_calls(self, graph: tf.Graph, model_outputs: Any) -> list[LayerCall]:
        """Return the calls with their output tensors, or the reason why there is none."""
        for call, outputs in self.calls:
            call.outputs = keras.tree.flatten(outputs)
            call.tensor = call.outputs[0] if len(call.outputs) == 1 and _is_symbolic(call.outputs[0]) else None
            call.untappable_because = call.untappable_because or _output_problem(call.outputs)
        calls = [call for call, _ in self.calls]
        _mark_out_of_reach(calls, graph, [leaf for leaf in keras.tree.flatten(model_outputs) if _is_symbolic(leaf)])
        _set_data_formats(calls)
        return calls


def _number_time_steps(calls: Sequence[LayerCall], time_steps: int | None) -> None:
    """Find the time step of each call that one run of a TimeDistributed layer has made, step after step."""
    totals = Counter(id(call.layer) for call in calls)
    made: Counter[int] = Counter()
    for call in calls:
        call.calls_a_step = totals[id(call.layer)] // (time_steps or 1)
        call.time_step = made[id(call.layer)] // max(call.calls_a_step, 1)
        made[id(call.layer)] += 1


def _time_steps_problem(time_steps: Sequence[int | None]) -> str:
    """Return why a layer inside TimeDistributed layers of these numbers of steps can't be tapped, or ""."""
    if len(time_steps) > 1:
        return "it stands in nested TimeDistributed layers; move the inner one out"
    if None in time_steps:
        return (
            "it stands in a TimeDistributed layer with an unknown number of steps; "
            "give the model's input a fixed number, or pass `input_shape`"
        )
    return ""


def _output_problem(outputs: Sequence[Any]) -> str:
    """Return why these outputs of a layer can't be tapped in a graph, or ""."""
    if len(outputs) != 1:
        return f"it returns {len(outputs)} outputs"
    return "" if _is_symbolic(outputs[0]) else "its output is no dense tensor"


def _is_symbolic(output: object) -> bool:
    """Return whether an output is a dense tensor of a graph; constants that a layer has made before are not."""
    return isinstance(output, tf.Tensor) and hasattr(output, "graph")


def _mark_out_of_reach(calls: Sequence[LayerCall], graph: tf.Graph, outputs: Sequence[tf.Tensor]) -> None:
    """Find the calls that run in loops and the like; of a layer with one in another graph, all of them."""
    first = first_elements(graph, outputs)
    elsewhere = {id(call.layer) for call in calls if is_elsewhere(call.outputs, graph)}
    for call in calls:
        reason = IN_ANOTHER_GRAPH if id(call.layer) in elsewhere else ""
        if any(leaf.ref() in first for leaf in call.outputs if _is_symbolic(leaf)):
            reason = IN_VECTORIZED_MAP
        call.is_out_of_reach = bool(reason)
        call.untappable_because = call.untappable_because or reason


def _set_data_formats(calls: Sequence[LayerCall]) -> None:
    """Find where the channels are: as the layer says, else as in its input, else Keras's default."""
    known: dict[Any, str] = {}
    for call in calls:
        if call.tensor is None or call.untappable_because:
            continue
        data_format = getattr(call.layer, "data_format", None)
        if data_format is None:
            sources = nearest_upstream(call.tensor, known)
            data_format = known[sources[0]] if sources else keras.config.image_data_format()
        call.data_format = data_format
        known.setdefault(call.tensor.ref(), data_format)
