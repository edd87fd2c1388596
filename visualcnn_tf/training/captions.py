"""What stands above the pictures of the callback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from visualcnn_tf.introspect.outputs import PREDICTIONS
from visualcnn_tf.pipeline.outputs import EXPLAINED_CLASS
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.viz.predictions import class_scores, predictions_of
from visualcnn_tf.viz.titles import Titles


def captions(tap: Tap, outputs: Mapping[str, ArrayLike], count: int, names: Sequence[str] | None) -> list[str]:
    """Return a text for each image: the predicted class and, if the tap explains a class, that one.

    Args:
        tap: The tap whose heatmaps are shown.
        outputs: What the explained model returned.
        count: The number of images.
        names: The names of the classes, None if they are unknown.
    """
    scores = class_scores(outputs.get(PREDICTIONS), names)
    explained = Titles([tap], outputs.get(EXPLAINED_CLASS), scores, names).explained(tap) or [()] * count
    predicted = [prediction.text(names, " ") for prediction in predictions_of(scores, None, count)]
    return ["\n".join([text, " ".join(lines)]).strip() for text, lines in zip(predicted, explained, strict=True)]
