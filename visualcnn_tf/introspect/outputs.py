"""A model's own outputs, flat, and their names."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

PREDICTIONS = "predictions"


def flat_outputs(outputs: object) -> list[tf.Tensor]:
    """Return a model's outputs, flat. Unlike Keras, which sorts their keys, this keeps dicts in their own order."""
    if isinstance(outputs, Mapping):
        return [tensor for value in outputs.values() for tensor in flat_outputs(value)]
    if isinstance(outputs, (list, tuple)):
        return [tensor for value in outputs for tensor in flat_outputs(value)]
    return [outputs]


def prediction_names(model: keras.Model, outputs: object) -> list[str]:
    """Return the names of a model's outputs: ``"predictions"`` for a single one, else the model's own names."""
    count = len(flat_outputs(outputs))
    if count == 1 and not isinstance(outputs, Mapping):
        return [PREDICTIONS]
    if isinstance(outputs, Mapping):
        return _names_by_structure(outputs)
    names = list(getattr(model, "output_names", None) or [])
    if len(names) == count == len(set(names)):
        return names
    return _names_by_structure(outputs)


def _names_by_structure(outputs: object, prefix: str = "") -> list[str]:
    """Return a name for each output made of its keys and indices, ``"output_1"`` or ``"boxes_0"``."""
    if isinstance(outputs, Mapping):
        return [name for key, value in outputs.items() for name in _names_by_structure(value, f"{prefix}{key}_")]
    if isinstance(outputs, (list, tuple)):
        start = prefix or "output_"
        return [name for i, value in enumerate(outputs) for name in _names_by_structure(value, f"{start}{i}_")]
    return [prefix.rstrip("_")]
