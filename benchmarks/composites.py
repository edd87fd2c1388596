"""Two handwritten digits at random positions on one canvas, and small networks that classify both."""

from __future__ import annotations

import math
from typing import NamedTuple

import keras
import numpy as np

from visualcnn_tf.data.digits import load_digits

SIZE = 56
BOX = 20
CLASSES = 10
_BATCH = 32
#: The layer between the last feature map and the ten sigmoid units.
HEADS = {"global pooling": keras.layers.GlobalAveragePooling2D, "Flatten": keras.layers.Flatten}


class Grid(NamedTuple):
    """The rows and columns where boxes may start: ``start``, ``start + step`` and so on."""

    start: int
    step: int


ANYWHERE = Grid(0, 1)


class Composites(NamedTuple):
    """Canvases with two different digits each.

    Attributes:
        images: The canvases ``(N, 56, 56, 1)``.
        digits: The two digits on each ``(N, 2)``.
        corners: Row and column of the upper left corner of each digit's 20×20 box, ``(N, 2, 2)``.
    """

    images: np.ndarray
    digits: np.ndarray
    corners: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """The labels ``(N, 10)``: 1 for each of the two digits."""
        labels = np.zeros((len(self.digits), CLASSES), np.float32)
        np.put_along_axis(labels, self.digits, 1.0, axis=1)
        return labels


def compose(
    pictures: np.ndarray, labels: np.ndarray, count: int, rng: np.random.Generator, grid: Grid = ANYWHERE
) -> Composites:
    """Draw pairs of different digits that do not overlap.

    Args:
        pictures: Single digits ``(N, 28, 28, 1)`` with a black border of 4 pixels, which is cut off.
        labels: The digits that they show, ``(N,)``.
        count: How many canvases to draw.
        rng: Chooses the digits and their positions.
        grid: Where their boxes may start.
    """
    border = (pictures.shape[1] - BOX) // 2
    images = np.zeros((count, SIZE, SIZE, 1), np.float32)
    chosen, corners = np.zeros((count, 2), int), np.zeros((count, 2, 2), int)
    for i in range(count):
        first = rng.integers(len(labels))
        chosen[i] = first, rng.choice(np.flatnonzero(labels != labels[first]))
        corners[i] = _separate_boxes(rng, grid)
        for picture, (top, left) in zip(pictures[chosen[i]], corners[i], strict=True):
            inner = picture[border : border + BOX, border : border + BOX]
            images[i, top : top + BOX, left : left + BOX] = inner
    return Composites(images, labels[chosen], corners)


def _separate_boxes(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Return the corners of two boxes that do not overlap."""
    while True:
        corners = grid.start + grid.step * rng.integers(0, (SIZE - BOX - grid.start) // grid.step + 1, (2, 2))
        if np.abs(corners[0] - corners[1]).max() >= BOX:
            return corners


def held_out(count: int, grid: Grid = ANYWHERE) -> Composites:
    """Return canvases of digits that no network was trained on, the same each time."""
    digits = load_digits()
    return compose(digits.test_images, digits.test_labels, count, np.random.default_rng(1), grid)


def build(head: str) -> keras.Model:
    """Build a network of four convolutions down to 14×14, a head, and ten sigmoid units."""
    layers = keras.layers

    def block(filters: int) -> list[keras.layers.Layer]:
        convolution = layers.Conv2D(filters, 3, padding="same", use_bias=False)
        return [convolution, layers.BatchNormalization(), layers.ReLU()]

    pool = layers.MaxPooling2D
    body = [*block(16), pool(), *block(32), pool(), *block(64), *block(64)]
    return keras.Sequential(
        [keras.Input((SIZE, SIZE, 1), name="image"), *body, HEADS[head](), layers.Dense(CLASSES, "sigmoid")]
    )


def train(head: str, *, epochs: int, count: int, seed: int = 0) -> keras.Model:
    """Train a multi-label network on canvases that are drawn anew in each epoch.

    Args:
        head: A key of ``HEADS``.
        epochs: The number of epochs.
        count: The number of canvases in each.
        seed: The random seed.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    digits = load_digits()
    model = build(head)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, epochs * math.ceil(count / _BATCH)))
    model.compile(optimizer, "binary_crossentropy", jit_compile=False)  # XLA would take longer to compile than it saves
    for _ in range(epochs):
        pairs = compose(digits.train_images, digits.train_labels, count, rng)
        model.fit(pairs.images, pairs.labels, batch_size=_BATCH, verbose=0)
    return model


def accuracy(model: keras.Model, pairs: Composites) -> float:
    """Return the share of canvases whose two most probable digits are the two on it."""
    guesses = np.argsort(model.predict(pairs.images, verbose=0), axis=1)[:, -2:]
    return float(np.mean((np.sort(guesses, 1) == np.sort(pairs.digits, 1)).all(axis=1)))
