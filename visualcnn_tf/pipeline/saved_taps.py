"""Save the taps of an explained model, and find them again in the model that is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import keras

from visualcnn_tf.errors import LayerNotFoundError
from visualcnn_tf.introspect.elements import Elements
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.location import Location, layer_at, locate
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.tokens.grid import TokenGrid
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.methods.registry import get as get_method
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.pipeline.tap_requests import TapRequest


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
            "elements": None if tap.elements is None else asdict(tap.elements),
            "tokens": None if tap.tokens is None else tap.tokens.get_config(),
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
    calls = trace.calls_of(layer)
    index = int(saved["call_index"])
    if index >= len(calls) or not _same_shape(calls[index].shape, saved["shape"]):
        received = f"shape {calls[index].shape}" if index < len(calls) else f"{len(calls)} calls of it"
        raise LayerNotFoundError(
            f"The loaded model {model.name!r} must return feature maps of shape {tuple(saved['shape'])} in the layer "
            f"that was saved as {location.path!r}, as before. Received: {received}. Attach to the model again."
        )
    call = calls[index]
    # Not found out anew, which may take a run of the model, whose weights are not loaded yet.
    call.elements = None if saved["elements"] is None else Elements(**saved["elements"])
    tokens = saved.get("tokens")  # files of version 2.0 have none
    if tokens is not None:
        call.tokens, call.data_format = TokenGrid.from_config(tokens), "channels_last"
    return call


def _same_shape(shape: Sequence[int | None], saved: Sequence[int | None]) -> bool:
    return len(shape) == len(saved) and all(a == b or None in (a, b) for a, b in zip(shape, saved, strict=True))
