"""Whether positions are lost on the way to a layer: only where everything goes through a tensor without any."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from keras import ops

import visualcnn_tf as vc
from visualcnn_tf.errors import SpatialAxesLostWarning


def text() -> Any:
    words = keras.Input((20,), dtype="int32")
    maps = L.Conv1D(4, 3, padding="same", name="tapped")(L.Embedding(50, 8)(words))
    return keras.Model(words, L.Dense(2)(L.GlobalMaxPooling1D()(maps)))


def grid_of_tokens() -> Any:
    image = keras.Input((32, 32, 3))
    tokens = L.Dense(12)(L.Reshape((16, 192))(ops.image.extract_patches(image, 8)))
    tokens = L.Add()([tokens, L.MultiHeadAttention(2, 6)(tokens, tokens)])
    return keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(L.Reshape((4, 4, 12), name="tapped")(tokens))))


def grid_after_a_class_token() -> Any:
    image = keras.Input((32, 32, 3))
    tokens = L.Reshape((16, 12))(L.Conv2D(12, 8, strides=8)(image))
    token = L.Lambda(lambda x: tf.zeros_like(x[:, :1]))(tokens)
    tokens = L.Concatenate(axis=1)([token, tokens])
    tokens = L.Add()([tokens, L.MultiHeadAttention(2, 6)(tokens, tokens)])
    grid = L.Reshape((4, 4, 12), name="tapped")(tokens[:, 1:])
    return keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(grid)))


def signal() -> Any:
    wave = keras.Input((2048,))
    maps = L.Conv1D(4, 9, name="tapped")(L.Reshape((2048, 1))(wave))
    return keras.Model(wave, L.Dense(2)(L.GlobalAveragePooling1D()(maps)))


def signal_in_channels() -> Any:
    wave = keras.Input((2048,))
    maps = L.Conv1D(4, 3, name="tapped")(L.Reshape((128, 16))(wave))
    return keras.Model(wave, L.Dense(2)(L.GlobalAveragePooling1D()(maps)))


def windows() -> Any:
    """The windows of a Swin transformer: parts of the image in the batch, and shifted."""
    image = keras.Input((32, 32, 3))
    maps = L.Conv2D(12, 4, strides=4)(image)  # 8 x 8
    shifted = ops.roll(ops.roll(maps, -2, axis=1), -2, axis=2)
    split = ops.transpose(ops.reshape(shifted, (-1, 2, 4, 2, 4, 12)), (0, 1, 3, 2, 4, 5))
    inside = L.Dense(12)(ops.reshape(split, (-1, 16, 12)))
    back = ops.transpose(ops.reshape(inside, (-1, 2, 2, 4, 4, 12)), (0, 1, 3, 2, 4, 5))
    back = ops.roll(ops.roll(ops.reshape(back, (-1, 8, 8, 12)), 2, axis=1), 2, axis=2)
    tapped = L.Activation("relu", name="tapped")(back)
    return keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(tapped)))


def recurrent() -> Any:
    words = keras.Input((20,), dtype="int32")
    states = L.Bidirectional(L.LSTM(4, return_sequences=True))(L.Embedding(50, 8)(words))
    maps = L.Conv1D(4, 3, name="tapped")(states)
    return keras.Model(words, L.Dense(2)(L.GlobalMaxPooling1D()(maps)))


def gated() -> Any:
    image = keras.Input((16, 16, 3))
    maps = L.Conv2D(4, 3)(image)
    gate = L.Reshape((1, 1, 4))(L.Dense(4, activation="sigmoid")(L.GlobalAveragePooling2D()(maps)))
    tapped = L.Conv2D(4, 3, name="tapped")(L.Multiply()([maps, gate]))
    return keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(tapped)))


def shuffled() -> Any:
    image = keras.Input((16, 16, 4))
    groups = ops.transpose(ops.reshape(image, (-1, 16, 16, 2, 2)), (0, 1, 2, 4, 3))
    tapped = L.Conv2D(4, 3, name="tapped")(ops.reshape(groups, (-1, 16, 16, 4)))
    return keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(tapped)))


def mixer() -> Any:
    image = keras.Input((32, 32, 3))
    tokens = L.Reshape((16, 12))(L.Conv2D(12, 8, strides=8)(image))
    mixed = L.Permute((2, 1))(L.Dense(16)(L.Permute((2, 1))(tokens)))
    grid = L.Reshape((4, 4, 12), name="tapped")(L.Add()([tokens, mixed]))
    return keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(grid)))


KEPT = (
    text,
    grid_of_tokens,
    grid_after_a_class_token,
    signal,
    signal_in_channels,
    windows,
    recurrent,
    gated,
    shuffled,
    mixer,
)


def decoder() -> Any:
    image = keras.Input((12, 12, 2))
    code = L.Dense(12)(L.Flatten()(L.Conv2D(2, 3)(image)))
    tapped = L.Conv2DTranspose(2, 3, name="tapped")(L.Reshape((2, 2, 3))(code))
    return keras.Model(image, L.Dense(2)(L.Flatten()(tapped)))


def pooled() -> Any:
    image = keras.Input((12, 12, 2))
    code = L.GlobalAveragePooling2D(keepdims=True)(L.Conv2D(2, 3)(image))
    tapped = L.Conv2D(2, 1, name="tapped")(L.UpSampling2D(4)(code))
    return keras.Model(image, L.Dense(2)(L.Flatten()(tapped)))


def table() -> Any:
    row = keras.Input((10,))
    tapped = L.Conv1D(2, 3, name="tapped")(L.Reshape((8, 2))(L.Dense(16)(row)))
    return keras.Model(row, L.Dense(2)(L.Flatten()(tapped)))


def classified_by_token() -> Any:
    image = keras.Input((32, 32, 3))
    tokens = L.Reshape((16, 12))(L.Conv2D(12, 8, strides=8)(image))
    tapped = L.Conv1D(2, 3, name="tapped")(L.RepeatVector(8)(L.Dense(4)(L.LSTM(4)(tokens))))
    return keras.Model(image, L.Dense(2)(L.Flatten()(tapped)))


LOST = (decoder, pooled, table, classified_by_token)


def warned(model: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        vc.attach(model, "tapped", method="gradcam", size=None)
    assert {w.category for w in found} <= {SpatialAxesLostWarning}
    return [str(w.message) for w in found]


@pytest.mark.parametrize("make", KEPT, ids=lambda make: make.__name__)
def test_positions_that_are_kept(make: Callable[[], Any]) -> None:
    assert warned(make()) == []


@pytest.mark.parametrize("make", LOST, ids=lambda make: make.__name__)
def test_positions_that_are_lost(make: Callable[[], Any]) -> None:
    (message,) = warned(make())
    assert message.startswith("`layers`: everything that 'tapped' sees was flattened or pooled before")


@pytest.mark.parametrize("make", [grid_of_tokens, windows, mixer, grid_after_a_class_token], ids=lambda m: m.__name__)
def test_grids_of_tokens_are_pictures_of_the_whole_image(make: Callable[[], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (tap,) = vc.attach(make(), "tapped").taps
    assert (tap.reference_input, tap.reference_axes, tap.region) == (0, (1, 2), None)
