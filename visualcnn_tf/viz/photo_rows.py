"""From explained photos to the rows of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.viz.explained_photo import ExplainedPhoto
from visualcnn_tf.viz.grid import Row
from visualcnn_tf.viz.photo_files import PhotoFile
from visualcnn_tf.viz.rows import explanations
from visualcnn_tf.viz.titles import Titles

_CLASS = "some class 99.9%"


@dataclass(frozen=True)
class LabeledPhoto:
    """A file of a photo with its true class, None where it is not known."""

    file: PhotoFile
    truth: int | None


def photo_rows(
    photos: Sequence[ExplainedPhoto],
    labeled: Sequence[LabeledPhoto],
    explained: ExplainedModel,
    class_names: Sequence[str] | None,
) -> list[Row]:
    """Return a row for each photo: the photo under its name and predicted class, and its heatmaps."""
    about = explanations(
        {key: np.stack([photo.outputs[key] for photo in photos]) for key in photos[0].outputs},
        len(photos),
        keys=explained.heatmap_names,
        taps=explained.taps,
        truths=[each.truth for each in labeled],
        class_names=class_names,
        scored=scored_output(explained),
        size=photos[0].fitting.size,
        brief=True,
    )
    return [
        Row(
            image=photo.picture,
            heatmaps=[photo.heatmap(key, photo.picture.shape[:2]) for key in explained.heatmap_names],
            titles=each.titles,
            title=f"{one.file.name}\n{each.prediction.text(class_names, ' ')}".rstrip(),
            is_wrong=each.prediction.is_wrong,
            boxes=[photo.box_in_photo(box) for box in each.boxes],
        )
        for photo, one, each in zip(photos, labeled, about, strict=True)
    ]


def usual_row(explained: ExplainedModel, has_truths: bool) -> Row:
    """Return the row of a square photo: pages are planned before any photo is read."""
    titles = Titles(explained.taps, np.zeros((1, len(explained.taps)), int), brief=True)
    above = {tap.key: f"{titles.of(tap)[0]} 99.9%" for tap in explained.taps}
    return Row(
        image=np.zeros((1, 1, 3)),
        heatmaps=[np.zeros((1, 1)) for _ in explained.heatmap_names],
        titles=[above.get(key, _CLASS) for key in explained.heatmap_names],
        title=f"photo.jpg\n{_CLASS}" + (f"\ntrue: {_CLASS}" if has_truths else ""),
    )


def scored_output(explained: ExplainedModel) -> str:
    """Return the key of the output that holds the scores of classes; an empty one where that is not known."""
    names, plan = explained.prediction_names, explained.plan
    if plan is not None and plan.names("report"):  # of boxes, whose scores are told with the heatmaps
        return ""
    index = 0 if len(names) == 1 else plan.output_index if plan else None
    return "" if index is None else names[index]
