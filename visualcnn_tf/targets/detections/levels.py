"""Dense heads: maps of scores ``(B, h, w, A·K)``, one for each level of a pyramid, for A boxes at each position.

The boxes are those of all levels, one after the other in the order of the outputs, as if the maps were reshaped to
``(B, h·w·A, K)``. So are the heads of RetinaNet and FCOS, and the heatmap of CenterNet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import tensorflow as tf

from visualcnn_tf.targets.detections.detections import Detections
from visualcnn_tf.targets.detections.outputs import DetectorOutputs
from visualcnn_tf.targets.detections.sources import is_of_probabilities

_CORNERS = 4


def levels_of_head(outputs: DetectorOutputs) -> Iterator[Detections]:
    """Yield the maps of scores of all levels as one table."""
    if outputs.columns is not None:
        return
    for scores, rest in _by_channels({name: x for name, x in outputs.tensors.items() if _is_map(x)}):
        if rest and _one_for_each_size(scores) and _fits(outputs, scores):
            yield _detections(scores, rest)


def _by_channels(maps: Mapping[str, tf.Tensor]) -> Iterator[tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]]:
    """Yield the maps of each number of channels, and all others."""
    for channels in sorted({int(x.shape[-1]) for x in maps.values()}):
        scores = {name: x for name, x in maps.items() if x.shape[-1] == channels}
        yield scores, {name: x for name, x in maps.items() if name not in scores}


def _is_map(tensor: tf.Tensor) -> bool:
    return tensor.shape.rank == 4 and None not in tensor.shape[1:] and tensor.dtype.is_floating


def _one_for_each_size(maps: Mapping[str, tf.Tensor]) -> bool:
    sizes = [tuple(tensor.shape[1:3]) for tensor in maps.values()]
    return len(set(sizes)) == len(sizes)


def _fits(outputs: DetectorOutputs, scores: Mapping[str, tf.Tensor]) -> bool:
    """Return whether maps may be scores: one of them was named, or all are of probabilities."""
    if outputs.asked is not None:
        return outputs.asked in scores
    return all(map(is_of_probabilities, scores.values()))


def _detections(scores: Mapping[str, tf.Tensor], rest: Mapping[str, tf.Tensor]) -> Detections:
    """Return the boxes of all levels; a map with four numbers for each box tells how many stand at each position."""
    channels = int(next(iter(scores.values())).shape[-1])
    boxes = [_corners(rest, tensor, channels) for tensor in scores.values()]
    count = 1 if None in boxes else int(boxes[0].shape[-1]) // _CORNERS  # type: ignore[union-attr]
    table = _joined(list(scores.values()), channels // count)
    return Detections(next(iter(scores)), table, boxes=None if None in boxes else _joined(boxes, _CORNERS))


def _corners(rest: Mapping[str, tf.Tensor], scores: tf.Tensor, channels: int) -> tf.Tensor | None:
    """Return the map with four numbers for each box beside a map of scores; None where none or several may be it."""
    found = [
        tensor
        for tensor in rest.values()
        if tensor.shape[1:3] == scores.shape[1:3]
        and tensor.shape[-1] % _CORNERS == 0
        and channels % (tensor.shape[-1] // _CORNERS) == 0
    ]
    return found[0] if len(found) == 1 else None


def _joined(maps: list[tf.Tensor], columns: int) -> tf.Tensor:
    rows = [tf.reshape(tensor, [-1, math.prod(tensor.shape[1:]) // columns, columns]) for tensor in maps]
    return rows[0] if len(rows) == 1 else tf.concat(rows, 1)
