"""The texts beside images: what the model predicts, and what is true."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualcnn_tf._utils.checks import bad_value

_WIDTH = 26  # characters beside an image


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for one image, and what is true, as far as they are known.

    Attributes:
        index: The class with the highest score.
        score: This score.
        is_probability: Whether the scores are probabilities, not logits.
        truth: The true class.
    """

    index: int | None = None
    score: float = 0.0
    is_probability: bool = False
    truth: int | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether another class is true than the predicted one."""
        return self.index is not None and self.truth not in (None, self.index)

    def text(self, names: Sequence[str] | None) -> str:
        """Return a few lines: the class, its score, and the true class where it is another one."""
        if self.index is None:
            return "" if self.truth is None else class_name(self.truth, names)
        score = f"{self.score:.1%}" if self.is_probability else f"{self.score:.3g}"
        text = f"{class_name(self.index, names)}\n{score}"
        return f"{text}\ntrue: {class_name(self.truth, names)}" if self.is_wrong and self.truth is not None else text


def predictions_of(scores: ArrayLike | None, labels: Sequence[int] | None, count: int) -> list[Prediction]:
    """Return the prediction for each of ``count`` images.

    Args:
        scores: What the model returned, (N, classes). What has another shape, or less than two classes, is left out.
        labels: The true class of each image.
        count: The number of images.

    Raises:
        InvalidArgumentError: ``labels`` is not one whole number for each image.
    """
    truths: Sequence[int | None] = [None] * count
    if labels is not None:
        check_count("labels", labels, count, "image")
        if not all(hasattr(label, "__index__") for label in labels):
            raise bad_value("labels", "class numbers, one for each image", labels)
        truths = list(labels)
    known = class_scores(scores)
    if known is None:
        return [Prediction(truth=truth) for truth in truths]
    return [_prediction(row, truth) for row, truth in zip(known, truths, strict=True)]


def class_scores(scores: ArrayLike | None) -> NDArray[np.floating] | None:
    """Return the scores of classes, (N, classes), or None for outputs of another kind."""
    array = np.asarray(scores)
    return array if array.ndim == 2 and array.shape[1] >= 2 else None


def _prediction(scores: NDArray[np.floating], truth: int | None) -> Prediction:
    index = int(scores.argmax())
    is_probability = bool(scores.min() >= 0 and scores.max() <= 1.0001)  # up to rounding
    return Prediction(index, float(scores[index]), is_probability, truth)


def class_name(index: int, names: Sequence[str] | None) -> str:
    """Return the name of a class, shortened, or ``class 3`` where there are no names.

    Raises:
        InvalidArgumentError: There are names, and none for this class.
    """
    if names is None:
        return f"class {index}"
    if not 0 <= index < len(names):
        raise bad_value("labels", f"numbers from 0 to {len(names) - 1}, one for each class name", index)
    return textwrap.shorten(str(names[index]), _WIDTH, placeholder="…")


def check_count(argument: str, values: Sequence[object], count: int, each: str) -> None:
    """Raise unless there are as many values as images, heatmaps or classes."""
    if len(values) != count:
        raise bad_value(argument, f"one for each {each} ({count})", f"{len(values)} of them")
