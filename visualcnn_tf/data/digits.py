"""Real handwritten digits that need no download, and a small network that reads them.

The digits are scikit-learn's (1797 pictures of 8×8 from NIST forms), enlarged to 28×28.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.errors import MissingExtraError

SIZE = 28
_MARGIN = 4  # a black border, as wide as MNIST's: the convolutions' own padding then disturbs no stroke
_SHIFT = 2
_TEST_SHARE = 0.25
_BATCH = 32


class Digits(NamedTuple):
    """Pictures ``(N, 28, 28, 1)`` in [0, 1], ink bright on black, and the digits 0-9 that they show."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def load_digits() -> Digits:
    """The digits, split 3:1 into training and test pictures; the same split each time.

    Raises:
        MissingExtraError: scikit-learn, which ships the pictures, is not installed.
    """
    try:
        from sklearn import datasets, model_selection
    except ImportError as error:
        raise MissingExtraError(
            'The digits come with scikit-learn. Install it with: pip install "visualcnn-tf[demo]"'
        ) from error
    small, labels = datasets.load_digits(return_X_y=True)
    images = enlarge(small.reshape(-1, 8, 8, 1) / 16.0)
    train_x, test_x, train_y, test_y = model_selection.train_test_split(
        images, labels.astype(np.int64), test_size=_TEST_SHARE, stratify=labels, random_state=0
    )
    return Digits(train_x, train_y, test_x, test_y)


def enlarge(images: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Smoothly enlarges square pictures ``(N, h, h, 1)`` in [0, 1] to 28×28, with a black border."""
    inner = SIZE - 2 * _MARGIN
    large = tf.image.resize(np.asarray(images, np.float32), (inner, inner), method="bicubic")
    border = (_MARGIN, _MARGIN)
    clipped = np.clip(large, 0.0, 1.0)  # a bicubic curve overshoots at sharp edges
    return np.pad(clipped, ((0, 0), border, border, (0, 0)))


def build_cnn() -> keras.Model:
    """The network: three convolutions and a pooling layer to look at, and two dense layers that decide."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1), name="image"),
            layers.Conv2D(32, 5, padding="same", activation="relu", name="conv1"),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="conv3"),
            layers.Flatten(name="flatten"),
            layers.Dense(128, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits_cnn",
    )


def train_cnn(digits: Digits, *, seed: int = 0, epochs: int = 5) -> keras.Model:
    """Trains the network on pictures that are shifted by up to two pixels, anew in each epoch.

    Args:
        digits: What :func:`load_digits` returns.
        seed: Of everything random: the first weights, the order of the pictures, the shifts.
        epochs: How often each training picture is seen.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_cnn()
    steps = epochs * math.ceil(len(digits.train_images) / _BATCH)
    # Steps that shrink to nothing leave the network at rest: without that, seeds differ by 2 %.
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps))
    # Compiling with XLA would take longer than it saves in so short a training.
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    for _ in range(epochs):
        model.fit(shift(digits.train_images, rng), digits.train_labels, batch_size=_BATCH, verbose=0)
    return model


def shift(images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Moves each picture by up to two pixels up or down and left or right; what comes in is black."""
    border = (_SHIFT, _SHIFT)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (SIZE, SIZE), axis=(1, 2))
    down, right = rng.integers(0, 2 * _SHIFT + 1, (2, len(images)))
    shifted = windows[np.arange(len(images)), down, right]  # (N, 1, 28, 28): the channel comes first
    return np.moveaxis(shifted, 1, -1)


def accuracy(model: keras.Model, digits: Digits) -> float:
    """The share of the test pictures that the model reads right."""
    guesses = model.predict(digits.test_images, batch_size=64, verbose=0).argmax(axis=-1)
    return float(np.mean(guesses == digits.test_labels))
