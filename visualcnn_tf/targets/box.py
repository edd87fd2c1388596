"""Box: one box of a detector, or several."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice, did_you_mean
from visualcnn_tf._utils.types import AxisSize, Shape
from visualcnn_tf.targets.base import Given, Target
from visualcnn_tf.targets.class_index import is_class_index
from visualcnn_tf.targets.detections.box_formats import BOX_FORMATS, corners
from visualcnn_tf.targets.detections.detections import Detections
from visualcnn_tf.targets.detections.find import find_detections
from visualcnn_tf.targets.detections.outputs import DetectorOutputs
from visualcnn_tf.targets.detections.scores import BoxScores
from visualcnn_tf.targets.detections.sources import find_sources
from visualcnn_tf.targets.inputs import BOX_INDEX, TargetInput, as_int32

_NAMED = ("best", "input")
_NAME_THEM = "Name it: `Box(..., boxes='name')`."


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Box(Target):
    """Explain boxes of a detector, each by the logit of its class.

    The boxes and their scores are found in the model's outputs: scores ``(B, N, K)`` of K classes, rows with corners
    and scores as of YOLO, sorted lists, or maps of a dense head. The logit is found behind sigmoid and softmax, and
    behind all that selects, sorts and joins boxes. Without ``method``, ``attach`` uses ``"hirescam"``: gradients that
    are averaged over positions, as Grad-CAM's, no longer tell which of several boxes is meant.

    Args:
        index: which box, from 0, in the order of the model's output; several, for one heatmap each, whose keys end in
            ``_box<index>``; ``"best"``, the box with the highest score; ``"input"``: the explained model gets one more
            input, ``box_index``, ``(B,)`` int32, where -1 means the best box. A box that does not exist gets an
            all-zero heatmap, and -1 in ``explained_class``.
        class_index: the class whose logit is explained. By default the one with the highest score in the box. Only
            where the model returns scores of all classes.
        background: the class that means "no object", which is then never that with the highest score, such as -1 for
            the last one of DETR. Only where the model returns scores of all classes.
        columns: the columns that hold the scores of classes, the first and the last + 1, of rows ``(B, N, C)`` whose
            columns are not joined in the model, where it can't be found: ``(4, 84)``.
        box_format: what the four numbers of the model's boxes are: ``"xyxy"``, ``"yxyx"``, ``"xywh"``,
            ``"center_xywh"`` or ``"center_yxhw"``; with ``"rel_"`` before it where they are parts of the image's size.
            With it the explained model returns ``explained_box``, ``(B, 4)``: left, top, right, bottom in pixels of the
            image, and pictures draw the box.
        boxes: the name of the output that holds the boxes, where several may.

    Raises:
        InvalidArgumentError: for anything else and, in ``attach``, for a box or class that the model does not have,
            and where it is not certain which output holds the scores: name it by ``output``.
        NoGradientError: in ``attach``, for boxes that come out of a loop, such as non-maximum suppression that returns
            no indices.

    Example:
        >>> Box([0, 3]).suffixes
        ('_box0', '_box3')
        >>> [added.name for added in Box("input").inputs]
        ['box_index']
    """

    reports_classes: ClassVar[bool] = True
    finds_output: ClassVar[bool] = True
    usual_method: ClassVar[str | None] = "hirescam"

    index: int | str | Sequence[int] = "best"
    class_index: int | None = None
    background: int | None = None
    columns: Sequence[int] | None = None
    box_format: str | None = None
    boxes: str | None = None

    def __post_init__(self) -> None:
        self._set("index", _checked_index(self.index))
        if self.class_index is not None and not is_class_index(self.class_index):
            raise bad_value("class_index", "a class index from 0, or None", self.class_index)
        if self.background is not None and not _is_integer(self.background):
            raise bad_value("background", "a class index, -1 for the last class, or None", self.background)
        if self.background is not None and self.class_index is not None:
            raise bad_value("background", "None where `class_index` says the class", self.background)
        self._set("columns", _checked_columns(self.columns))
        check_choice("box_format", self.box_format, (None, *BOX_FORMATS))
        if self.boxes is not None and self.box_format is None:
            raise bad_value("boxes", "None without `box_format`, which tells what they are", self.boxes)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def inputs(self) -> tuple[TargetInput, ...]:
        """The index of the box, if requests give it."""
        return (BOX_INDEX,) if self.index == "input" else ()

    @property
    def suffixes(self) -> tuple[str, ...]:
        """``("",)`` for a single box, ``_box<index>`` for each of several."""
        return tuple(f"_box{k}" for k in self.index) if isinstance(self.index, tuple) else ("",)

    def without_logits(self, output: Detections) -> list[tf.Tensor]:
        """Return scores that no softmax or sigmoid makes."""
        return find_sources(output.scores).linear

    def output_name(self, outputs: Mapping[str, tf.Tensor], asked: str | None) -> str:
        """Return the name of the output that holds the scores."""
        if asked is not None:
            check_choice("output", asked, list(outputs))
            return asked
        return find_detections(self._outputs(outputs, asked)).output

    def read(self, outputs: Mapping[str, tf.Tensor], name: str) -> Detections:
        """Return the boxes of a model's outputs, once it is known that the one to explain may be among them."""
        found = find_detections(self._outputs(outputs, name))
        self._check(found)
        return found

    def _outputs(self, outputs: Mapping[str, tf.Tensor], asked: str | None) -> DetectorOutputs:
        columns = None if self.columns is None else (self.columns[0], self.columns[1])
        return DetectorOutputs(outputs, asked, self.boxes, columns)

    def scores(self, output: Detections, given: Given | None = None) -> BoxScores:
        """Return the logits of the boxes that are explained."""
        index = self._indices(output, given or {})
        if self.class_index is not None:
            return BoxScores(output, index, tf.fill(tf.shape(index), self.class_index))
        return BoxScores(output, index, output.classes_of(output.inside(index), self.background))

    def _indices(self, output: Detections, given: Given) -> tf.Tensor:
        """Return which boxes are explained, ``(B, n)``."""
        best = output.best(self.class_index, self.background)
        if self.index == "best":
            return best
        if self.index == "input":
            asked = given.get(BOX_INDEX.name)
            if asked is None:
                return best
            index = tf.reshape(as_int32(asked), [-1, 1])
            return tf.where(tf.equal(index, BOX_INDEX.none), best, index)
        indices = self.index if isinstance(self.index, tuple) else (self.index,)
        return tf.zeros_like(best) + tf.constant([indices], tf.int32)

    def may_explain_nothing(self, output: Detections) -> bool:
        """Return whether an image may lack the box that is explained."""
        may_be_too_large = self.index == "input" or not isinstance(output.size, int)
        return may_be_too_large or output.count is not None or output.classes is not None

    def reports(self, output: Detections) -> dict[str, Shape]:
        """Return the score of the box and, if its format is known, its corners."""
        return {"explained_score": (), **({} if self.box_format is None else {"explained_box": (4,)})}

    def reported(self, scores: BoxScores, size: tuple[AxisSize, AxisSize] | None) -> dict[str, tf.Tensor]:
        """Return the scores as the model returns them, and the corners of the boxes in pixels."""
        found = {"explained_score": scores.values}
        if self.box_format is None:
            return found
        height, width = size or (1, 1)
        sides = [tf.cast(width, tf.float32), tf.cast(height, tf.float32)]
        numbers = tuple(tf.unstack(tf.cast(scores.boxes, tf.float32), 4, -1))
        return {**found, "explained_box": tf.stack(corners(numbers, self.box_format, *sides), -1)}

    def _check(self, output: Detections) -> None:
        """Raise for a box or a class that the detector does not have."""
        boxes = [k for k in (self.index if isinstance(self.index, tuple) else [self.index]) if isinstance(k, int)]
        if isinstance(output.size, int) and max(boxes, default=0) >= output.size:
            raise bad_value("target", f"within the model's {output.size} boxes, 0 to {output.size - 1}", self.index)
        if self.box_format is not None and output.boxes is None:
            raise bad_value("box_format", "None: no output is known to hold the boxes", self.box_format, _NAME_THEM)
        for name in ("class_index", "background"):
            _check_class(name, getattr(self, name), output.class_count)

    def get_config(self) -> dict[str, Any]:
        """Return the options, tuples as lists."""
        config = super().get_config()
        return {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}


def _check_class(name: str, value: int | None, count: int | None) -> None:
    """Raise for a class that a detector of so many classes does not have; None where each box has one class."""
    if value is None:
        return
    if count is None:
        raise bad_value(name, "None where each box has one class", value)
    if not -count <= value < count:
        raise bad_value(name, f"within the model's {count} classes", value)


def _checked_index(index: Any) -> int | str | tuple[int, ...]:
    if isinstance(index, str) and index in _NAMED:
        return index
    index = index.tolist() if isinstance(index, (np.ndarray, np.generic)) else index
    several = isinstance(index, (list, tuple))
    given = list(index) if several else [index]
    indices = tuple(operator.index(k) for k in given if is_class_index(k))
    if not given or len(set(indices)) < len(given):
        near = did_you_mean(index, _NAMED).strip() if isinstance(index, str) else ""
        raise bad_value("index", "the index of a box from 0, a list of different ones, 'best' or 'input'", index, near)
    return indices if several else indices[0]


def _checked_columns(columns: Any) -> tuple[int, int] | None:
    if columns is None:
        return None
    is_pair = isinstance(columns, (list, tuple)) and len(columns) == 2 and all(map(is_class_index, columns))
    if not is_pair or columns[0] >= columns[1]:
        raise bad_value("columns", "None or the first column and the last + 1, such as (4, 84)", columns)
    return int(columns[0]), int(columns[1])


def _is_integer(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, (bool, np.bool_))
