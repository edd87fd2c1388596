"""Which calls of which layers are tapped, by which method: chosen by the options, or restored from a saved model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.errors import LayerNotFoundError
from visualcnn_tf.introspect.location import Location, layer_at, locate
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.patterns import value_per_path
from visualcnn_tf.introspect.trace import LayerCall, Trace
from visualcnn_tf.introspect.upstream import is_upstream
from visualcnn_tf.methods.base import Method
from visualcnn_tf.methods.registry import get as get_method
from visualcnn_tf.pipeline.options import DEFAULT_METHOD, Options
from visualcnn_tf.pipeline.outputs import heatmap_key, unique
from visualcnn_tf.pipeline.tap import Tap


@dataclass(frozen=True)
class TapRequest:
    """A heatmap that is wanted.

    Attributes:
        call: the call of a layer that is read, in the trace of the model.
        method: how its feature maps become one map.
        target_index: which score of the target is explained.
        key: key of the heatmap; before :func:`with_unique_keys`, the one that it gets unless that is taken.
    """

    call: LayerCall
    method: Method
    target_index: int
    key: str

    def tap(self, trace: Trace) -> Tap:
        """Return the tap, which no longer needs the trace."""
        call = self.call
        return Tap(
            path=call.path,
            key=self.key,
            shape=call.shape,
            method=self.method,
            target_index=self.target_index,
            call_index=call.index // (call.time_steps or 1),
            time_steps=call.time_steps,
            returns_sequence=call.returns_sequence,
            data_format=call.data_format,
            reference_input=_reference_input(call, trace.inputs),
        )


def requested_taps(calls: Sequence[LayerCall], options: Options) -> list[TapRequest]:
    """Return a request for each call, each of its methods, and each score of the target that these explain."""
    default = get_method(DEFAULT_METHOD)
    choices = value_per_path(options.method, [call.path for call in calls], default, "method")
    requests: list[TapRequest] = []
    for call, choice in zip(calls, choices, strict=True):
        several = isinstance(choice, tuple)
        for method in choice if several else [choice]:
            ending = "_" + method.name.replace("+", "p") if several else ""
            suffixes = options.resolved_target.suffixes if method.explains_target else ("",)
            requests += [
                TapRequest(call, method, index, heatmap_key(call.path) + ending + suffix)
                for index, suffix in enumerate(suffixes)
            ]
    return requests


def with_unique_keys(requests: Iterable[TapRequest], taken: Iterable[str]) -> list[TapRequest]:
    """Return the requests with keys of their own."""
    names, unique_requests = list(taken), []
    for request in requests:
        key = unique(request.key, names)
        names.append(key)
        unique_requests.append(TapRequest(request.call, request.method, request.target_index, key))
    return unique_requests


def save_taps(model: keras.Model, taps: Iterable[Tap]) -> list[dict[str, Any]]:
    """Return taps for Keras to serialize: layers by their positions, because their names may change at loading."""
    layers = named_layers(model)
    return [
        {
            "layer": locate(model, layers[tap.path]).get_config(),
            "call_index": tap.call_index,
            "method": keras.saving.serialize_keras_object(tap.method),
            "target_index": tap.target_index,
            "key": tap.key,
            "shape": tap.shape,
        }
        for tap in taps
    ]


def restored_taps(model: keras.Model, trace: Trace, saved: Iterable[Mapping[str, Any]]) -> list[TapRequest]:
    """Return the requests of saved taps, in the trace of the loaded model.

    Raises:
        LayerNotFoundError: for a layer that the loaded model does not have there, or that returns another shape.
    """
    return [
        TapRequest(
            _restored_call(model, trace, entry), get_method(entry["method"]), entry["target_index"], entry["key"]
        )
        for entry in saved
    ]


def _restored_call(model: keras.Model, trace: Trace, saved: Mapping[str, Any]) -> LayerCall:
    location = Location.from_config(saved["layer"])
    layer = layer_at(model, location)
    calls: list[LayerCall] = [call for call in trace.calls if call.layer is layer]
    steps = (calls[0].time_steps or 1) if calls else 1
    index = int(saved["call_index"]) * steps
    if index >= len(calls) or not _same_shape(calls[index].shape, saved["shape"]):
        received = f"shape {calls[index].shape}" if index < len(calls) else f"{len(calls)} calls of it"
        raise LayerNotFoundError(
            f"The loaded model {model.name!r} must return feature maps of shape {tuple(saved['shape'])} in the layer "
            f"that was saved as {location.path!r}, as before. Received: {received}. Attach to the model again."
        )
    return calls[index]


def _same_shape(shape: Sequence[int | None], saved: Sequence[int | None]) -> bool:
    return len(shape) == len(saved) and all(a == b or None in (a, b) for a, b in zip(shape, saved, strict=True))


def _reference_input(call: LayerCall, inputs: Sequence[tf.Tensor]) -> int | None:
    """Return the index of the input that feature maps are a picture of: of their spatial rank, upstream if possible."""
    has_steps = call.time_steps is not None or call.returns_sequence
    rank = 1 + has_steps + len(call.spatial_shape)
    # With a channel axis if possible, else without.
    for fitting in (_of_rank(inputs, rank + 1), _of_rank(inputs, rank)):
        if fitting:
            upstream = [index for index in fitting if is_upstream(inputs[index], call.tensor)]
            return (upstream or fitting)[0]
    return None


def _of_rank(inputs: Sequence[tf.Tensor], rank: int) -> list[int]:
    return [index for index, tensor in enumerate(inputs) if len(tensor.shape) == rank]
