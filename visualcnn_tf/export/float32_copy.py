"""A model that computes in float32, with the weights of one that computes in half precision."""

from __future__ import annotations

from typing import Any

import keras

from visualcnn_tf._model import ExplainedModel

_HALF = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16")


def computes_in_half_precision(model: Any) -> bool:
    """Whether any layer of the model does: TensorFlow Lite has no such convolutions."""
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else [model]
    return any(layer.compute_dtype in ("float16", "bfloat16") for layer in layers)


def float32_copy(model: Any) -> Any:
    """The same model in float32, made of its configuration; its weights are copies."""
    if isinstance(model, ExplainedModel):
        config = model.get_config()
        twin = ExplainedModel.from_config({**config, "model": _in_float32(config["model"])})
    else:
        twin = keras.saving.deserialize_keras_object(_in_float32(keras.saving.serialize_keras_object(model)))
    twin.set_weights(model.get_weights())
    return twin


def _in_float32(config: Any) -> Any:
    """A configuration with every half-precision policy replaced."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"].get("name") in _HALF:
            return {**config, "config": {**config["config"], "name": "float32"}}
        return {key: _in_float32(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_in_float32(value) for value in config)
    return "float32" if isinstance(config, str) and config in _HALF[:2] else config
