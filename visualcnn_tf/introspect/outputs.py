"""A model's own outputs, flat, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREDICTIONS = "predictions"


def flat_outputs(outputs: Any) -> list[Any]:
    """The model's own outputs, flat, dicts in their own order."""
    if isinstance(outputs, Mapping):
        return [tensor for value in outputs.values() for tensor in flat_outputs(value)]
    if isinstance(outputs, (list, tuple)):
        return [tensor for value in outputs for tensor in flat_outputs(value)]
    return [outputs]


def prediction_names(model: Any, outputs: Any) -> list[str]:
    """The names of the model's own outputs: its own for several, ``"predictions"`` for one."""
    count = len(flat_outputs(outputs))
    if count == 1 and not isinstance(outputs, Mapping):
        return [PREDICTIONS]
    if isinstance(outputs, Mapping):
        return _paths(outputs)
    names = list(getattr(model, "output_names", None) or [])
    if len(names) == count == len(set(names)):
        return names
    return _paths(outputs)


def _paths(outputs: Any, prefix: str = "") -> list[str]:
    if isinstance(outputs, Mapping):
        return [name for key, value in outputs.items() for name in _paths(value, f"{prefix}{key}_")]
    if isinstance(outputs, (list, tuple)):
        start = prefix or "output_"
        return [name for i, value in enumerate(outputs) for name in _paths(value, f"{start}{i}_")]
    return [prefix.rstrip("_")]
