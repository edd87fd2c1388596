"""Handwritten digits that need no download, and a small network that classifies them.

The digits are scikit-learn's (1797 images of 8×8 from NIST forms), enlarged to 28×28.
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
_MARGIN = 4  # pixels of black border, as in MNIST: so the padding of the convolutions does not touch a stroke
_SHIFT = 2
_TEST_SHARE = 0.25
_BATCH = 32


class Digits(NamedTuple):
    """Images ``(N, 28, 28, 1)`` in [0, 1], bright digits on black, and the digits 0-9 that they show."""

    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]


def load_digits() -> Digits:
    """Return the digits, split 3:1 into training and test images; the same split each time.

    Raises:
        MissingExtraError: scikit-learn, which contains the images, is not installed.
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
    """Smoothly enlarge square images ``(N, h, h, 1)`` in [0, 1] to 28×28, with a black border."""
    inner = SIZE - 2 * _MARGIN
    large = tf.image.resize(np.asarray(images, np.float32), (inner, inner), method="bicubic")
    border = (_MARGIN, _MARGIN)
    clipped = np.clip(large, 0.0, 1.0)  # a bicubic curve overshoots at sharp edges
    return np.pad(clipped, ((0, 0), border, border, (0, 0)))


def build_cnn() -> keras.Model:
    """Return the network, not trained: three convolutions and a pooling layer, then two dense layers."""
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
    """Train the network on images that are shifted by up to two pixels, randomly in each epoch.

    Args:
        digits: What :func:`load_digits` returns.
        seed: The seed of everything random: the initial weights, the order of the images, the shifts.
        epochs: How often each training image is used.

    Returns:
        The trained network.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_cnn()
    steps = epochs * math.ceil(len(digits.train_images) / _BATCH)
    # A learning rate that decays to zero makes the accuracy depend less on the seed; without it, seeds differ by 2 %.
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps))
    # Compiling with XLA would take longer than it saves in such a short training.
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
    for _ in range(epochs):
        model.fit(shift(digits.train_images, rng), digits.train_labels, batch_size=_BATCH, verbose=0)
    return model


def shift(images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Move each image by up to two pixels vertically and horizontally; new pixels are black."""
    border = (_SHIFT, _SHIFT)
    padded = np.pad(images, ((0, 0), border, border, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (SIZE, SIZE), axis=(1, 2))
    down, right = rng.integers(0, 2 * _SHIFT + 1, (2, len(images)))
    shifted = windows[np.arange(len(images)), down, right]  # (N, 1, 28, 28): the channel comes first
    return np.moveaxis(shifted, 1, -1)


def accuracy(model: keras.Model, digits: Digits) -> float:
    """Return the share of the test images that the model classifies correctly."""
    guesses = model.predict(digits.test_images, batch_size=64, verbose=0).argmax(axis=-1)
    return float(np.mean(guesses == digits.test_labels))
