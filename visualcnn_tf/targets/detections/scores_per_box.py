"""Scores of all classes for each box: an output ``(B, N, K)``, mostly beside one with the boxes, ``(B, N, 4)``.

So are the outputs of RetinaNet and SSD before non-maximum suppression, and the queries of DETR and its kin.
"""

from __future__ import annotations

from collections.abc import Iterator

from visualcnn_tf.targets.detections.columns import is_made_of_columns
from visualcnn_tf.targets.detections.detections import Detections
from visualcnn_tf.targets.detections.outputs import DetectorOutputs, is_table
from visualcnn_tf.targets.detections.sources import is_of_probabilities


def scores_per_box(outputs: DetectorOutputs) -> Iterator[Detections]:
    """Yield each output that may hold the scores of all classes for each box."""
    for name, tensor in outputs.tensors.items():
        if outputs.columns is None and outputs.may_hold_scores(name) and is_table(tensor) and _fits(outputs, name):
            yield Detections(name, tensor, boxes=outputs.boxes_beside(name))


def _fits(outputs: DetectorOutputs, name: str) -> bool:
    """Return whether a table may be scores: it was named, has boxes beside it, or is of probabilities alone."""
    tensor = outputs.tensors[name]
    if outputs.fours_beside(name):
        return name == outputs.asked or tensor.shape[-1] != 4 or _all_are_of_four(outputs, name)
    if is_made_of_columns(tensor):
        return False
    return (name == outputs.asked and len(outputs.tensors) > 1) or is_of_probabilities(tensor)


def _all_are_of_four(outputs: DetectorOutputs, name: str) -> bool:
    """Return whether all outputs with the rows of one have four columns, as with scores of four classes."""
    count = outputs.tensors[name].shape[1]
    tables = [tensor for tensor in outputs.tensors.values() if is_table(tensor, count)]
    return all(tensor.shape[-1] == 4 for tensor in tables) and not outputs.lists_of(count)
