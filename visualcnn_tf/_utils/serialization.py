"""Callables in the configs of layers and models."""

from __future__ import annotations

import warnings
from typing import Any

import keras

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
