"""The names of a model's classes, and the true classes of photos, as far as folders and the model tell them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.viz.photo_files import PhotoFile

_IMAGENET = 1000  # classes


def class_count(model: keras.Model) -> int | None:
    """Return how many classes a model has, explained or not; None where that is not known."""
    if isinstance(model, ExplainedModel):
        return None if model.plan is None else model.plan.class_count
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        return None
    count: int | None = outputs[0].shape[1]
    return 2 if count == 1 else count  # a single score is that of one class of two


def names_without_labels(model: keras.Model, folders: Iterable[Path]) -> list[str] | None:
    """Return the names of a model's classes: those of the subfolders, if they are as many, or else those of its task.

    Args:
        model: The model, explained or not.
        folders: The paths of photos; what is no folder among them is left out.
    """
    count = class_count(model)
    names = _subfolders(folders)
    return names if len(names) == count else _names_of_task(model, count)


def truths_of_folders(files: Iterable[PhotoFile], names: Sequence[str]) -> list[int | None]:
    """Return the index of the class that each photo's subfolder is called after; None if it is called otherwise."""
    indices: dict[str, int | None] = {}
    for index, name in enumerate(names):
        plain = _plain(name)
        indices[plain] = None if plain in indices else index
    return [None if file.subfolder is None else indices.get(_plain(file.subfolder)) for file in files]


def _subfolders(folders: Iterable[Path]) -> list[str]:
    """Return the names of all folders directly inside the given ones, but for hidden ones.

    They are in the order in which Keras's ``image_dataset_from_directory`` numbers classes: that of their letters,
    10 before 2.
    """
    found = [entry for folder in folders if folder.is_dir() for entry in folder.iterdir() if entry.is_dir()]
    return sorted({entry.name for entry in found if not entry.name.startswith(".")})


def _names_of_task(model: keras.Model, count: int | None) -> list[str] | None:
    """Return the classes of ImageNet for a classifier of ``keras_hub`` that has as many, None for any other model."""
    model = model.model if isinstance(model, ExplainedModel) else model
    hub = sys.modules.get("keras_hub")  # whoever has such a model has imported it
    if hub is None or count != _IMAGENET or not isinstance(model, hub.models.ImageClassifier):
        return None
    ascending = np.arange(_IMAGENET, dtype=np.float32)[np.newaxis]
    [likeliest_first] = hub.utils.decode_imagenet_predictions(ascending, top=_IMAGENET)
    return [name for name, _ in reversed(likeliest_first)]


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ")
