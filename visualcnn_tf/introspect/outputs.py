"""The flat dict of outputs: keys and specs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

PREDICTIONS = "predictions"
EXPLAINED_CLASS = "explained_class"
COMBINED = "heatmap"
#: The input that asks for a class, where there is one.
CLASS_INDEX = "class_index"


@dataclass(frozen=True)
class OutputSpec:
    """Name, shape and type of one output; the batch, and what else is unknown, is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    def tensor(self) -> Any:
        """The output as a Keras tensor."""
        return keras.KerasTensor(self.shape, dtype=self.dtype, name=self.name)


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


def heatmap_key(path: str) -> str:
    """``"heatmap_<path>"``, in the characters that every exported format takes."""
    return "heatmap_" + re.sub(r"[^0-9A-Za-z_.\-]", "_", path)


def unique(key: str, taken: Sequence[str]) -> str:
    """The key, numbered (``_2``, ``_3``, …) when it is taken."""
    number, candidate = 1, key
    while candidate in taken:
        number += 1
        candidate = f"{key}_{number}"
    return candidate
