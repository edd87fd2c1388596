"""Copy a half-precision model into float32: TensorFlow Lite has no half-precision convolutions."""

from __future__ import annotations

import keras

from visualcnn_tf._model import ExplainedModel

_MIXED = ("mixed_float16", "mixed_bfloat16")
_HALF = (*_MIXED, "float16", "bfloat16")


def computes_in_half_precision(model: keras.Model) -> bool:
    """Return whether any layer of a model computes in float16 or bfloat16."""
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else [model]
    return any(layer.compute_dtype in ("float16", "bfloat16") for layer in layers)


def float32_copy(model: keras.Model) -> keras.Model:
    """Return a float32 copy of a model, built from its configuration, with copies of its weights."""
    if isinstance(model, ExplainedModel):
        config = model.get_config()
        copy = ExplainedModel.from_config({**config, "model": _in_float32(config["model"])})
    else:
        copy = keras.saving.deserialize_keras_object(_in_float32(keras.saving.serialize_keras_object(model)))
    copy.set_weights(model.get_weights())
    return copy


def _in_float32(config: object) -> object:
    """Return a configuration with float32 in place of every half-precision policy."""
    if isinstance(config, dict):
        if _is_half_policy(config):
            return {**config, "config": {**config["config"], "name": "float32"}}
        return {key: _in_float32(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_in_float32(value) for value in config)
    # A mixed policy may be given by its name alone. The name of a plain type may mean something else, such as the type
    # of an input, so it stays.
    return "float32" if isinstance(config, str) and config in _MIXED else config


def _is_half_policy(config: dict[str, object]) -> bool:
    policy = config.get("config")
    return config.get("class_name") == "DTypePolicy" and isinstance(policy, dict) and policy.get("name") in _HALF
