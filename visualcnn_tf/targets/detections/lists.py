"""Lists of boxes: scores ``(B, N)``, mostly with classes ``(B, N)``, boxes ``(B, N, 4)`` and how many there are."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from visualcnn_tf.targets.detections.detections import Detections
from visualcnn_tf.targets.detections.outputs import DetectorOutputs
from visualcnn_tf.targets.detections.selections import is_from_whole_numbers


def lists_of_boxes(outputs: DetectorOutputs) -> Iterator[Detections]:
    """Yield each output that may hold one score for each box."""
    for name, tensor in outputs.tensors.items():
        if outputs.columns is not None or not outputs.may_hold_scores(name) or tensor.shape.rank != 2:
            continue
        if is_from_whole_numbers(tensor) or not outputs.fours_beside(name):
            continue
        others = outputs.lists_of(tensor.shape[1])
        labels = [x for other, x in others.items() if other != name and is_from_whole_numbers(x)]
        label = labels[0] if len(labels) == 1 else None
        yield Detections(name, tensor[..., tf.newaxis], label, outputs.boxes_beside(name), _count(outputs))


def _count(outputs: DetectorOutputs) -> tf.Tensor | None:
    """Return how many rows hold boxes, ``(B,)``, if an output says so."""
    counts = [x for x in outputs.tensors.values() if is_from_whole_numbers(x) and x.shape.as_list()[1:] in ([], [1])]
    return counts[0] if len(counts) == 1 else None
