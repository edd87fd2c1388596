"""What heatmaps of the real networks show: panels for the documents, and the numbers beside them."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

import visualcnn_tf as vc
from tools.real import models
from tools.real.packages import CACHE
from tools.real.pictures import Panel

_ALPHA = 0.8


class Shown(NamedTuple):
    """Rows of panels, and lines of text with what was measured."""

    rows: list[list[Panel]]
    facts: list[str]


def overlaid(photo: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """Return a photo in [0, 255] with a heatmap of the same size over it, uint8."""
    pixels = np.clip(photo, 0, 255).astype(np.uint8)[np.newaxis]
    return vc.overlay(pixels, heatmap[np.newaxis], alpha=_ALPHA, weighted=True).numpy()[0]


def peak(heatmap: np.ndarray) -> tuple[int, int]:
    """Return row and column of the largest value."""
    row, column = np.unravel_index(heatmap.argmax(), heatmap.shape)
    return int(row), int(column)


def in_box(position: tuple[int, int], box: np.ndarray) -> bool:
    """Return whether a row and column lie in a box: left, top, right, bottom."""
    row, column = position
    return bool(box[0] <= column < box[2] and box[1] <= row < box[3])


# Dog breeds --------------------------------------------------------------------------------------------------------


def dog_breeds(folder: Path = CACHE) -> Shown:
    """Show two photos without a dog to the classifier of dog breeds: where it finds what it takes for one."""
    model = models.dog_breeds(folder)
    rows, facts = [], []
    explained = vc.attach(model, "last", method=["gradcam", "deviation"], target="top3")
    for name in ("cat", "astronaut"):
        photo = models.photo(name, model.input_shape[1:3], folder)
        outputs = explained.predict(photo[np.newaxis] / 127.5 - 1, verbose=0)
        [probabilities] = (outputs[key] for key in explained.prediction_names)
        best = outputs["explained_class"][0]
        panels = [Panel(name, photo)]
        for tap in explained.taps:
            heatmap = outputs[tap.key][0]
            if tap.method.name == "deviation":
                title = "deviation"
            else:
                index = best[int(tap.key.rsplit("top", 1)[1]) - 1]
                title = f"{models.BREEDS[index]} {probabilities[0, index]:.0%}"
            panels.append(Panel(title, overlaid(photo, heatmap)))
            facts.append(f"{name}: {title}: peak at row {peak(heatmap)[0]}, column {peak(heatmap)[1]} of 160")
        rows.append(panels)
    return Shown(rows, facts)


# Edges -------------------------------------------------------------------------------------------------------------

#: The layer whose evidence for edges is shown.
_MIDDLE = "*/block3_conv3"


def edges(folder: Path = CACHE) -> Shown:
    """Show what the stages of the edge detector respond to, and where the evidence for edges is."""
    model = models.edges(folder)
    size = (256, 384)
    photo = models.photo("coffee", size, folder)
    inputs = models.for_edges(photo)[np.newaxis]
    stages = vc.attach(model, "stages", method="deviation", input_shape=(*size, 3))
    outputs = stages(inputs)
    [found] = (np.asarray(outputs[key])[0, ..., 0] for key in stages.prediction_names)
    panels = [Panel("coffee", photo), Panel("edges", _gray(found))]
    facts = []
    for tap in stages.taps:
        heatmap = outputs[tap.key][0].numpy()
        panels.append(Panel(f"{tap.path.split('/')[-1]}, {tap.space[0]}×{tap.space[1]}", _gray(heatmap)))
        facts.append(f"{tap.path}: deviation correlates with the edges at {_correlation(heatmap, found):.2f}")
    evidence = vc.attach(model, _MIDDLE, method="hirescam", target=1, input_shape=(*size, 3))
    heatmap = evidence(inputs)[evidence.taps[0].key][0].numpy()
    panels.append(Panel(f"for edges, {_MIDDLE.split('/')[-1]}", overlaid(photo, heatmap)))
    facts.append(f"{_MIDDLE}: evidence for edges correlates with them at {_correlation(heatmap, found):.2f}")
    return Shown([panels[:4], panels[4:]], facts)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _gray(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)[..., np.newaxis], 3, axis=-1)


# Objects -----------------------------------------------------------------------------------------------------------


class Object(NamedTuple):
    """A box that was found: its index, class, score, sides in pixels, and the heatmap of each method."""

    photo: str
    index: int
    name: str
    score: float
    box: np.ndarray
    heatmaps: dict[str, np.ndarray]


METHODS = ("hirescam", "gradcam")
#: The last feature map of the backbone, 32×32. `"last"` is right before a convolution 1×1: one point for each box.
_BACKBONE = "*/MobilenetV3/expanded_conv_12/expand/hard_swish/mul_1"
_SURE = 0.4


def found_objects(model: keras.Model, folder: Path = CACHE) -> list[Object]:
    """Return the boxes with a score of 0.4 or more on all photos, explained by both methods."""
    explained = vc.attach(model, _BACKBONE, method=list(METHODS), target=vc.targets.Box("input"))
    found = []
    for name in models.PHOTOS:
        image = models.photo(name, (512, 512), folder)[np.newaxis]
        rows = np.asarray(model.predict(image, verbose=0)).reshape(-1, 6)
        for index, row in enumerate(rows):
            if row[4] < _SURE:
                continue
            outputs = explained.predict({"image": image, "box_index": np.array([index], np.int32)}, verbose=0)
            maps = {tap.method.name: outputs[tap.key][0] for tap in explained.taps}
            kind = models.OBJECTS.get(int(row[5]), f"class {int(row[5])}")
            found.append(Object(name, index, kind, float(row[4]), row[:4], maps))
    return found


def objects(folder: Path = CACHE) -> Shown:
    """Show boxes of the detector, each explained by the default method for boxes and by Grad-CAM."""
    every = found_objects(models.objects(folder), folder)
    rows, facts = [], []
    for one in every:
        photo = models.photo(one.photo, (512, 512), folder)
        title = f"{one.name} {one.score:.0%}"
        panels = [Panel(f"{one.photo}: {title}", photo, one.box)]
        panels += [Panel(method, overlaid(photo, one.heatmaps[method]), one.box) for method in METHODS]
        rows.append(panels)
        where = {method: "in" if in_box(peak(one.heatmaps[method]), one.box) else "outside" for method in METHODS}
        facts.append(f"{one.photo}: {title}: peaks " + ", ".join(f"{m} {w} the box" for m, w in where.items()))
    return Shown(_two_beside(rows), facts)


def _two_beside(rows: list[list[Panel]]) -> list[list[Panel]]:
    """Return rows of twice as many panels."""
    return [[*chain(*rows[start : start + 2])] for start in range(0, len(rows), 2)]


SHOWN: dict[str, Any] = {"dogs": dog_breeds, "edges": edges, "objects": objects}
