"""The dense head of a detector: the maps from which the scores of all its boxes are made, level by level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf.gradients.tensors import to_gradient_dtype
from visualcnn_tf.targets.detections.detections import Detections
from visualcnn_tf.targets.detections.sources import Source, find_sources


@dataclass(frozen=True, eq=False)
class DenseHead:
    """The maps that a detector's scores are made from.

    Attributes:
        levels: maps of logits of A boxes at each position, ``(B, h, w, A·K)``, the finest first.
        kind: what follows: ``"softmax"``, ``"sigmoid"``, or ``"linear"`` where the model returns logits.
        classes: K.
    """

    levels: tuple[tf.Tensor, ...]
    kind: str
    classes: int

    @property
    def probabilities(self) -> list[tf.Tensor]:
        """What becomes of each level, ``(B, h, w, A, K)``; of logits that the model returns, their sigmoid."""
        activation = tf.nn.softmax if self.kind == "softmax" else tf.sigmoid
        shaped = [tf.reshape(level, [-1, *level.shape[1:3], self._boxes(level), self.classes]) for level in self.levels]
        return [activation(to_gradient_dtype(level)) for level in shaped]

    def _boxes(self, level: tf.Tensor) -> int:
        return int(level.shape[-1]) // self.classes


def find_dense_head(detections: Detections) -> DenseHead | None:
    """Return the dense head that scores of boxes come from, None where they do not come from maps alone."""
    parts = find_sources(detections.scores).parts
    levels = [_levels_of(part) for part in parts]
    classes = _class_count(detections, parts)
    kinds = {part.kind for part in parts}
    found = [level for each in levels for level in each]
    fits = classes is not None and len(kinds) == 1 and all(levels)
    if not fits or any(level.shape[-1] % classes for level in found):
        return None
    ordered = sorted(found, key=lambda level: -math.prod(level.shape[1:3]))
    return DenseHead(tuple(ordered), kinds.pop(), classes or 0)


def _levels_of(part: Source) -> list[tf.Tensor]:
    """Return the maps that logits are rearranged from; none where there are others, or only parts of maps."""
    sources = find_sources(part.tensor).parts
    levels = [source.tensor for source in sources]
    are_maps = all(source.kind == "linear" and _is_map(source.tensor) for source in sources)
    return levels if are_maps and sum(source.length for source in sources) == part.length else []


def _is_map(tensor: tf.Tensor) -> bool:
    return tensor.shape.rank == 4 and None not in tensor.shape[1:]


def _class_count(detections: Detections, parts: Sequence[Source]) -> int | None:
    """Return the number of classes: of lists, that of the columns that their boxes are chosen from."""
    if detections.class_count is not None:
        return detections.class_count
    columns = {part.tensor.shape[-1] for part in parts if (part.tensor.shape.rank or 0) > 2}
    return columns.pop() if len(columns) == 1 else None
