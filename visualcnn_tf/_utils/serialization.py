"""Callables and arrays in the configs of layers, targets and models."""

from __future__ import annotations

import warnings
from base64 import b64decode, b64encode
from typing import Any

import keras
import numpy as np

from visualcnn_tf.errors import NotSerializableWarning


def callable_to_config(value: object) -> object:
    """Return a callable as Keras serializes it, and anything else, such as a name, unchanged."""
    return keras.saving.serialize_keras_object(value) if callable(value) else value


def callable_from_config(config: object) -> Any:
    """Return what :func:`callable_to_config` was given."""
    return keras.saving.deserialize_keras_object(config) if isinstance(config, dict) else config


def warn_if_not_loadable(argument: str, value: object) -> None:
    """Warn when Keras would not find a callable at loading time: it finds registered ones only."""
    name = getattr(value, "__name__", type(value).__name__)
    if not callable(value) or keras.saving.get_registered_name(value) != name:
        return
    warnings.warn(
        f"`{argument}` {name!r} is saved by reference and will not be found when the model is loaded. Decorate it "
        "with @keras.saving.register_keras_serializable(), at the top level of a module that is imported before "
        "loading.",
        NotSerializableWarning,
        stacklevel=3,
    )


def array_to_config(value: object) -> object:
    """Return an array as a dict with its bytes as text, and anything else unchanged."""
    if not isinstance(value, np.ndarray):
        return value
    return {"shape": list(value.shape), "dtype": value.dtype.name, "base64": b64encode(value.tobytes()).decode()}


def array_from_config(config: object) -> Any:
    """Return what :func:`array_to_config` was given."""
    if not isinstance(config, dict):
        return config
    return np.frombuffer(b64decode(config["base64"]), config["dtype"]).reshape(config["shape"])
