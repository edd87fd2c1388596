"""Trace one run of a model in a scratch graph: which layers run, in which order, with which outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.introspect.batch_axis import Found
from visualcnn_tf.introspect.geometry.control_flow import State
from visualcnn_tf.introspect.geometry.follow import follow
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.out_of_reach import IN_ANOTHER_GRAPH, IN_VECTORIZED_MAP, first_elements, is_elsewhere
from visualcnn_tf.introspect.record import Recorder, python_call, recording
from visualcnn_tf.introspect.upstream import nearest_upstream


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
        followed: what every tensor shows of an input, by that input's index, once :meth:`states` has found out.
    """

    inputs: Sequence[tf.Tensor]
    outputs: Any
    calls: list[LayerCall]
    layers: dict[str, keras.Operation]
    model: keras.Model
    model_inputs: ModelInputs
    sized: Trace | None = None
    batch_axes: Found | None = None
    followed: dict[int, dict[Hashable, State]] = field(default_factory=dict)

    def states(self, index: int) -> dict[Hashable, State]:
        """Return what each tensor shows of an input, by the tensor's reference."""
        if index not in self.followed:
            source = self.inputs[index]
            with source.graph.as_default():
                self.followed[index] = follow(source)
        return self.followed[index]

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
