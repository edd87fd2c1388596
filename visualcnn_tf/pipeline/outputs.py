"""The outputs of an explained model: a flat dict, each entry of a kind."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

import keras

from visualcnn_tf._utils.types import Shape

#: What an output is: one of the model's own, the explained classes, what else the target tells of what it explains, the
#: heatmap of a tap, all heatmaps in one, or an image with a heatmap laid over it.
OutputKind: TypeAlias = Literal["model", "classes", "report", "heatmap", "combined", "overlay"]

EXPLAINED_CLASS = "explained_class"
#: What the target of a detector's boxes tells.
EXPLAINED_BOX, EXPLAINED_SCORE = "explained_box", "explained_score"
COMBINED = "heatmap"


@dataclass(frozen=True)
class OutputSpec:
    """One output.

    Attributes:
        name: its key in the dict of outputs.
        shape: the batch, and what else is unknown, is None.
        dtype: name of its type.
        kind: what it is.
    """

    name: str
    shape: Shape
    dtype: str
    kind: OutputKind

    def tensor(self) -> keras.KerasTensor:
        """Return the output as a Keras tensor."""
        return keras.KerasTensor(self.shape, dtype=self.dtype, name=self.name)


def heatmap_key(path: str) -> str:
    """Return ``"heatmap_<path>"``, in the characters that every exported format takes."""
    return "heatmap_" + re.sub(r"[^0-9A-Za-z_.\-]", "_", path)


def unique(key: str, taken: Collection[str]) -> str:
    """Return the key, numbered (``_2``, ``_3``, …) if it is taken."""
    number, candidate = 1, key
    while candidate in taken:
        number += 1
        candidate = f"{key}_{number}"
    return candidate
