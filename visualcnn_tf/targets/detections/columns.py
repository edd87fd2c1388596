"""Rows with everything about a box: its corners, its score and its class, or the scores of all classes.

``(B, N, 4 + K)`` and ``(B, 4 + K, N)`` are the outputs of YOLO, ``(B, N, 6)`` those of detectors that sort their boxes.
What the columns hold is found where they are joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.gradients.inline import inline_call
from visualcnn_tf.targets.detections.detections import Detections
from visualcnn_tf.targets.detections.narrowed import axis_before, joined, joins, narrowed
from visualcnn_tf.targets.detections.outputs import DetectorOutputs, is_table
from visualcnn_tf.targets.detections.selections import is_from_whole_numbers
from visualcnn_tf.targets.detections.sources import is_of_probabilities

_CORNERS = 4
#: The first of some columns, and the last + 1.
Span: TypeAlias = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Columns:
    """Some columns of rows.

    Attributes:
        start: the first of them.
        tensor: what they are.
        size: how many they are.
    """

    start: int
    tensor: tf.Tensor
    size: int

    @property
    def span(self) -> Span:
        """The first column, and the last + 1."""
        return self.start, self.start + self.size

    @property
    def kind(self) -> str:
        """What the columns hold: a ``"class"``, ``"scores"`` or anything ``"else"``."""
        if is_from_whole_numbers(self.tensor):
            return "class"
        return "scores" if is_of_probabilities(self.tensor) else "else"


@dataclass(frozen=True)
class Layout:
    """Which columns hold what, each first and last + 1.

    Attributes:
        scores: the scores of classes, or of the one class.
        boxes: the four numbers of the box; None if they are not known.
        label: the class; None where there are scores of all.
    """

    scores: Span
    boxes: Span | None = None
    label: Span | None = None


def columns_of_rows(outputs: DetectorOutputs) -> Iterator[Detections]:
    """Yield each output whose rows hold everything about a box."""
    for name, tensor in outputs.tensors.items():
        if not outputs.may_hold_scores(name) or tensor.shape.rank != 3:
            continue
        axis, parts = joined_columns(tensor)
        table = _rows_first(tensor, axis)
        if not is_table(table):
            continue
        layout = _given_layout(outputs, table) if outputs.columns is not None else _layout(parts)
        if layout is not None:
            scores = _rows_first(narrowed(tensor, axis, *layout.scores), axis)
            yield _detections(name, table, scores, layout)


def _rows_first(tensor: tf.Tensor, axis: int) -> tf.Tensor:
    """Return rows with their columns last."""
    return tf.transpose(tensor, [0, 2, 1]) if axis == 1 else tensor


def is_made_of_columns(tensor: tf.Tensor) -> bool:
    """Return whether the columns of rows are known to hold different things."""
    return _layout(joined_columns(tensor)[1]) is not None


def joined_columns(tensor: tf.Tensor) -> tuple[int, list[Columns]]:
    """Return the axis of the columns of rows, and what is joined along it: nothing where nothing is."""
    for axis in (2, 1):
        parts = list(_parts(tensor, axis, 0)) if tensor.shape[axis] is not None else []
        if len(parts) > 1 and _layout(parts) is not None:
            return axis, parts
    return 2, []


def _given_layout(outputs: DetectorOutputs, table: tf.Tensor) -> Layout:
    first, last = outputs.columns or (0, 0)
    if last > table.shape[-1]:
        raise bad_value("columns", f"within the {table.shape[-1]} columns of the output", outputs.columns)
    return Layout((first, last), (0, _CORNERS) if first >= _CORNERS else None)


def _layout(parts: list[Columns]) -> Layout | None:
    """Return what columns hold, None where that is not certain."""
    kinds = {part.span: part.kind for part in parts}
    labels, scores, rest = ([span for span in kinds if kinds[span] == kind] for kind in ("class", "scores", "else"))
    box = _box_columns(scores, rest)
    if box is None:
        return None
    if box in scores or not scores:  # corners behind a sigmoid, or scores that are logits
        scores = [span for span in [*rest, *scores] if span != box]
    score = _score_columns(scores, labels)
    return None if score is None else Layout(score, box if _size(box) == _CORNERS else None, *labels)


def _box_columns(scores: list[Span], rest: list[Span]) -> Span | None:
    """Return the columns with the corners: the four that hold neither scores nor a class, or the only four together."""
    if sum(map(_size, rest)) == _CORNERS and scores:
        return min(rest)[0], max(rest)[1]
    if rest and (scores or len(rest) != 2):
        return None
    fours = [span for span in [*rest, *scores] if _size(span) == _CORNERS]
    return fours[0] if len(fours) == 1 else None


def _score_columns(scores: list[Span], labels: list[Span]) -> Span | None:
    """Return the columns with the scores: of one class, or of all, before which may be one whether there is a box."""
    if labels:
        return scores[0] if len(labels) == len(scores) == 1 and _size(labels[0]) == _size(scores[0]) == 1 else None
    several = [span for span in scores if _size(span) > 1] or scores
    others = [span for span in scores if span not in several]
    return several[0] if len(several) == 1 and sum(map(_size, others)) <= 1 else None


def _size(span: Span) -> int:
    return span[1] - span[0]


def _detections(name: str, table: tf.Tensor, scores: tf.Tensor, layout: Layout) -> Detections:
    boxes, label = layout.boxes, layout.label
    return Detections(
        name,
        scores,
        None if label is None else table[..., label[0]],
        None if boxes is None else table[..., boxes[0] : boxes[1]],
    )


def _parts(tensor: tf.Tensor, axis: int, start: int) -> Iterator[Columns]:
    """Yield what is joined along an axis, each with its number of columns."""
    op = tensor.op
    inner = inline_call(op)
    if inner is not None:
        yield from _parts(inner[1][tensor.value_index], axis, start)
    elif joins(op, axis):
        for x, size in joined(op, axis):
            yield from _parts(x, axis, start)
            start += size
    elif op.type == "ConcatV2" and _are_alike(op, axis):  # levels below each other
        yield from _parts(op.inputs[0], axis, start)
    else:
        before = axis_before(op, axis)
        if before is None:
            yield Columns(start, tensor, int(tensor.shape[axis]))
        else:
            yield from _parts(op.inputs[0], before, start)


def _are_alike(op: tf.Operation, axis: int) -> bool:
    """Return whether what is concatenated along another axis has columns that are joined alike."""
    spans = [[part.span for part in _parts(x, axis, 0)] for x in op.inputs[:-1]]
    return len(spans[0]) > 1 and all(one == spans[0] for one in spans)
