"""Train the models of ``benchmarks.families`` on canvases with two digits, and keep them in files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks import families
from benchmarks.composites import ANYWHERE, BOX, CLASSES, SIZE, Composites, Grid, accuracy, build, compose
from visualcnn_tf.data.digits import load_digits

#: The folder of trained models; remove it to train them anew.
FOLDER = Path(__file__).parents[1] / "build" / "pointing"
_BATCH, _WARMUP, _RATE = 32, 64, 3e-3
_INK = 0.3
_NEAR = 0.3 * BOX  # pixels from the middle of a digit to the positions that stand for it

Labels = tuple[Any, Any]


def class_labels(pairs: Composites) -> Labels:
    """Return 1 for each of the two digits, ``(N, 10)``, and no weights."""
    return pairs.labels, None


def pixel_labels(pairs: Composites) -> Labels:
    """Return the digit whose ink each pixel is, or the background, ``(N, 56, 56)``, and no weights."""
    labels = np.full(pairs.images.shape[:3], families.BACKGROUND, np.int32)
    for digit in range(2):
        inside = within(pairs.corners[:, digit]) & (pairs.images[..., 0] > _INK)
        labels = np.where(inside, pairs.digits[:, digit, None, None], labels)
    return labels, None


def within(corners: np.ndarray) -> np.ndarray:
    """Return which pixels lie in the 20×20 boxes with these upper left corners, ``(N, 56, 56)``."""
    rows, columns = (np.arange(SIZE) - corners[:, axis, None] for axis in (0, 1))
    return ((rows >= 0) & (rows < BOX))[:, :, None] & ((columns >= 0) & (columns < BOX))[:, None, :]


def box_labels(pairs: Composites) -> Labels:
    """Return scores and boxes for each position of the detector's head, and weights that count boxes at digits only."""
    count = SIZE // families.STRIDE
    centers = (np.arange(count) + 0.5) * families.STRIDE
    scores = np.zeros((len(pairs.images), count, count, CLASSES), np.float32)
    boxes = np.zeros((len(pairs.images), count, count, 4), np.float32)
    for digit in range(2):
        middle = pairs.corners[:, digit] + BOX / 2
        rows, columns = (np.abs(centers - middle[:, axis, None]) < _NEAR for axis in (0, 1))
        near = rows[:, :, None] & columns[:, None, :]
        scores[near, np.broadcast_to(pairs.digits[:, digit, None, None], near.shape)[near]] = 1.0
        corners = np.concatenate([pairs.corners[:, digit, ::-1], pairs.corners[:, digit, ::-1] + BOX], axis=1)
        boxes = np.where(near[..., None], corners[:, None, None, :], boxes)
    rows_of = {"scores": scores.reshape(-1, count**2, CLASSES), "boxes": boxes.reshape(-1, count**2, 4)}
    is_digit = rows_of["scores"].max(axis=2)
    return rows_of, {"scores": np.ones_like(is_digit), "boxes": is_digit}


# How good a model is -----------------------------------------------------------------------------------------------


def pixel_accuracy(model: keras.Model, pairs: Composites) -> float:
    """Return the share of the ink whose class is right."""
    labels, _ = pixel_labels(pairs)
    found = model.predict(pairs.images, verbose=0).argmax(axis=-1)
    return float((found == labels)[labels != families.BACKGROUND].mean())


def box_accuracy(model: keras.Model, pairs: Composites) -> float:
    """Return the share of digits whose best box overlaps with theirs by at least half (intersection over union)."""
    outputs = model.predict(pairs.images, verbose=0)
    overlaps = []
    for digit in range(2):
        index = best_boxes(outputs["scores"], pairs.digits[:, digit])
        box = outputs["boxes"][np.arange(len(index)), index]
        corners = pairs.corners[:, digit, ::-1]
        overlap = np.minimum(box[:, 2:], corners + BOX) - np.maximum(box[:, :2], corners)
        common = np.maximum(overlap, 0).prod(axis=1)
        overlaps.append(common / (np.maximum(box[:, 2:] - box[:, :2], 0).prod(axis=1) + BOX**2 - common))
    return float((np.concatenate(overlaps) >= 0.5).mean())


def best_boxes(scores: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Return the index of the box with the largest score of the given digit, ``(N,)`` int32."""
    return scores[np.arange(len(scores)), :, digits].argmax(axis=1).astype(np.int32)


# Training ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """How a model is built, trained and judged.

    Attributes:
        build: Returns the model.
        labels: Return what it has to learn, and weights.
        loss: As in ``compile``.
        judge: Returns how good it is, between 0 and 1.
        good: What this share is a share of.
        epochs: How often canvases are drawn.
        base: The name of the recipe whose trained model ``build`` takes, if any.
        grid: Where on canvases boxes start.
    """

    build: Callable[..., keras.Model]
    labels: Callable[[Composites], Labels]
    loss: Any
    judge: Callable[[keras.Model, Composites], float]
    good: str
    epochs: int
    base: str | None = None
    grid: Grid = ANYWHERE


def _classifier(build: Callable[..., keras.Model], epochs: int, **options: Any) -> Recipe:
    return Recipe(build, class_labels, "binary_crossentropy", accuracy, "both digits correct", epochs, **options)


def _hybrid(pooling: str) -> Recipe:
    return _classifier(partial(families.hybrid_transformer, pooling=pooling), 5, base=CNN)


def _pure(pooling: str) -> Recipe:
    return _classifier(partial(families.pure_transformer, pooling), 24, grid=families.PATCH_GRID)


def _side_error(boxes: Any, found: Any) -> Any:
    """Return by how many sizes of a digit the sides of boxes are off."""
    return keras.ops.mean(keras.ops.abs(boxes - found), axis=-1) / BOX


_BOX_LOSS = {"scores": keras.losses.BinaryFocalCrossentropy(gamma=2.0), "boxes": _side_error}


CNN = "CNN"
#: The models by name.
RECIPES: dict[str, Recipe] = {
    CNN: _classifier(partial(build, "global pooling"), 10),
    "ViT, hybrid, class token": _hybrid("token"),
    "ViT, hybrid, global pooling": _hybrid("global"),
    "ViT, pure patches, class token": _pure("token"),
    "ViT, pure patches, global pooling": _pure("global"),
    "U-Net": Recipe(
        families.u_net, pixel_labels, "sparse_categorical_crossentropy", pixel_accuracy, "of the ink right", 20
    ),
    "detector": Recipe(families.detector, box_labels, _BOX_LOSS, box_accuracy, "of the digits found", 5),
}


def train(
    recipe: Recipe, *, count: int, seed: int, epochs: int | None = None, base: keras.Model | None = None
) -> keras.Model:
    """Train a model on canvases that are drawn anew in each epoch.

    Args:
        recipe: How it is built and trained.
        count: The number of canvases in each epoch.
        seed: The random seed.
        epochs: The number of epochs; that of the recipe if None.
        base: The trained model that it is built on, if the recipe has one.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    digits = load_digits()
    model = recipe.build() if base is None else recipe.build(base)
    epochs = epochs or recipe.epochs
    steps = epochs * math.ceil(count / _BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(steps - _WARMUP, 1), warmup_target=_RATE, warmup_steps=min(_WARMUP, steps)
    )
    model.compile(keras.optimizers.Adam(rate), recipe.loss, jit_compile=False)
    for _ in range(epochs):
        pairs = compose(digits.train_images, digits.train_labels, count, rng, recipe.grid)
        labels, weights = recipe.labels(pairs)
        model.fit(pairs.images, labels, sample_weight=weights, batch_size=_BATCH, verbose=0)
    return model


def kept(name: str, *, count: int, seed: int, epochs: int | None = None, folder: Path = FOLDER) -> keras.Model:
    """Return the trained model of this name from its file; train it and write the file if there is none."""
    recipe = RECIPES[name]
    stem = f"{name} {epochs or recipe.epochs}x{count} {seed}"
    path = folder / f"{''.join(letter if letter.isalnum() else '_' for letter in stem)}.keras"
    if path.exists():
        return keras.models.load_model(path, compile=False)
    base = kept(recipe.base, count=count, seed=seed, epochs=epochs, folder=folder) if recipe.base else None
    model = train(recipe, count=count, seed=seed, epochs=epochs, base=base)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return model
