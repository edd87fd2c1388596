"""What each output of an exported model is, which decides how it is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.export.mask_ties import tied_masks
from visualcnn_tf.export.types import Arrays
from visualcnn_tf.pipeline.plan import Plan


@dataclass(frozen=True)
class OutputRoles:
    """What each output of an exported model is.

    Attributes:
        maps: Heatmaps, combined heatmaps and overlays.
        of_target: Which of the explained scores, from 0, each map of a target is about; None for those about all.
        classes: The explained classes, if there are any.
        scores: The output whose classes are explained, if it has one score for each class.
        class_axis: The axis of the classes in it.
    """

    maps: frozenset[str] = frozenset()
    of_target: Mapping[str, int | None] = field(default_factory=dict)
    classes: str | None = None
    scores: str | None = None
    class_axis: int = -1

    def explains_the_same(self, name: str, got: Arrays, want: Arrays) -> NDArray[np.bool_] | None:
        """Return for each example whether a map of two results is about the same class; None if it is about none."""
        if self.classes is None or name not in self.of_target:
            return None
        same = (got[self.classes] == want[self.classes]).reshape(len(want[self.classes]), -1)
        column = self.of_target[name]
        equal: NDArray[np.bool_] = same.all(-1) if column is None else same[:, min(column, same.shape[1] - 1)]
        return equal

    def tied(self, got: Arrays, want: Arrays, tolerance: float) -> NDArray[np.bool_]:
        """Return for each example whether the file explains classes that the model scores nearly as high as its own.

        Args:
            got: The outputs of the file.
            want: The outputs of the model.
            tolerance: How much scores may differ by rounding, relative to the largest.
        """
        if self.classes is None or self.scores is None or want[self.scores].ndim < 2:
            return np.zeros(len(next(iter(want.values()))), bool)
        scores = np.moveaxis(want[self.scores].astype(np.float64), self.class_axis, -1)
        found, own = (arrays[self.classes].reshape(len(scores), -1) for arrays in (got, want))
        if scores.ndim > 2:
            return tied_masks(scores, found, own, tolerance)
        if scores.shape[1] == 1:  # of the second of two classes, a probability or a logit
            is_probability = ((scores >= 0) & (scores <= 1)).all()
            scores = np.concatenate([1 - scores if is_probability else -scores, scores], axis=1)
        one, other = (
            np.take_along_axis(scores, np.clip(classes, 0, scores.shape[1] - 1).astype(int), 1)
            for classes in (found, own)
        )
        allowed = 2 * tolerance * np.maximum(1.0, np.abs(scores).max(-1, keepdims=True))
        close: NDArray[np.bool_] = ((np.abs(one - other) <= allowed) & ((found < 0) == (own < 0))).all(-1)
        return close


def output_roles(model: keras.Model) -> OutputRoles:
    """Return what the outputs of an exported model are; those of a plain Keras model are predictions."""
    if not isinstance(model, ExplainedModel) or model.plan is None:
        return OutputRoles()
    plan, taps = model.plan, {tap.key: tap for tap in model.taps}
    maps = plan.names("heatmap", "combined", "overlay")
    agnostic = {key for key, tap in taps.items() if not tap.method.explains_target}
    of_target = {
        name: taps[name].target_index if name in taps else None
        for name in maps
        if plan.explains_target and name not in agnostic
    }
    scores = _scores(model, plan)
    class_axis = -1 if plan.class_axis is None else plan.class_axis
    return OutputRoles(frozenset(maps), of_target, plan.classes, scores, class_axis)


def _scores(model: ExplainedModel, plan: Plan) -> str | None:
    """Return the output with one score for each class; that of a detector's boxes is none."""
    return None if plan.output_index is None or plan.names("report") else model.prediction_names[plan.output_index]
