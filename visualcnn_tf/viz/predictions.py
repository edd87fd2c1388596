"""The texts beside images: what the model predicts, and what is true."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualcnn_tf._utils.checks import bad_value

_WIDTH = 26  # characters beside an image

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Scores:
    """What a model returned for the classes of some images.

    Attributes:
        values: The score of each class, ``(N, classes)``.
        are_probabilities: Whether the scores are probabilities, not logits.
    """

    values: Floats
    are_probabilities: bool

    @classmethod
    def of(cls, values: Floats) -> Scores:
        """Return scores, which are probabilities if all lie between 0 and 1."""
        return cls(values, bool(values.min() >= 0 and values.max() <= 1.0001))  # up to rounding

    def text(self, image: int, index: int) -> str:
        """Return the score of a class in an image, a probability in percent."""
        score = float(self.values[image, index])
        return f"{score:.1%}" if self.are_probabilities else f"{score:.3g}"


def class_scores(outputs: ArrayLike | None, names: Sequence[str] | None = None) -> Scores | None:
    """Return the scores of classes, or None for outputs of another kind.

    Args:
        outputs: What the model returned. ``(N, classes)`` are scores; ``(N, 1)`` are those of class 1 of two, if two
            classes have names.
        names: The names of the classes.
    """
    array = np.asarray(outputs)
    if array.ndim != 2 or array.dtype.kind not in "fiu" or not array.size:
        return None
    scores = Scores.of(array)
    if array.shape[1] == 1 and names is not None and len(names) == 2:
        array = np.concatenate([1 - array if scores.are_probabilities else -array, array], axis=1)
    return Scores(array, scores.are_probabilities) if array.shape[1] >= 2 else None


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for one image, and what is true, as far as they are known.

    Attributes:
        index: The class with the highest score.
        score: This score, as text.
        truth: The true class.
    """

    index: int | None = None
    score: str = ""
    truth: int | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether another class is true than the predicted one."""
        return self.index is not None and self.truth not in (None, self.index)

    def text(self, names: Sequence[str] | None, beside: str = "\n") -> str:
        """Return the class, its score after ``beside`` and, in a line below, the true class where it is another one."""
        if self.index is None:
            return "" if self.truth is None else class_name(self.truth, names)
        text = f"{class_name(self.index, names)}{beside}{self.score}"
        return f"{text}\ntrue: {class_name(self.truth, names)}" if self.is_wrong and self.truth is not None else text


def predictions_of(scores: Scores | None, truths: Sequence[int | None] | None, count: int) -> list[Prediction]:
    """Return the prediction for each of ``count`` images.

    Args:
        scores: What the model returned, None where that is no score for each class.
        truths: The true class of each image, None where it is not known.
        count: The number of images.

    Raises:
        InvalidArgumentError: A true class is not one of the model.
    """
    truths = truths or [None] * count
    if scores is None:
        return [Prediction(truth=truth) for truth in truths]
    classes = scores.values.shape[1]
    for truth in truths:
        if truth is not None and not 0 <= truth < classes:
            raise bad_value("labels", f"class indices from 0 to {classes - 1}, of the {classes} classes", truth)
    best = scores.values.argmax(axis=1).tolist()
    return [
        Prediction(index, scores.text(image, index), truth)
        for image, (index, truth) in enumerate(zip(best, truths, strict=True))
    ]


def class_name(index: int, names: Sequence[str] | None) -> str:
    """Return the name of a class, shortened, or ``class 3`` where there are no names.

    Raises:
        InvalidArgumentError: There are names, and none for this class.
    """
    if names is None:
        return f"class {index}"
    if not 0 <= index < len(names):
        raise bad_value("labels", f"class indices from 0 to {len(names) - 1}, one for each class name", index)
    return textwrap.shorten(str(names[index]), _WIDTH, placeholder="…")


def check_count(argument: str, values: Sequence[object], count: int, each: str) -> None:
    """Raise unless there are as many values as images, heatmaps or classes."""
    if len(values) != count:
        raise bad_value(argument, f"one for each {each} ({count})", f"{len(values)} of them")
