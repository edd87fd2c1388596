"""Which input a heatmap is a picture of: one that the layer really sees."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError


def head(*maps: Any) -> Any:
    flat = [L.Flatten()(one) for one in maps]
    return L.Dense(2, activation="softmax")(L.Concatenate()(flat) if len(flat) > 1 else flat[0])


@pytest.fixture(scope="module")
def beside_a_photo() -> Any:
    photo, wave = keras.Input((16, 16, 3), name="photo"), keras.Input((256,), name="wave")
    seen = L.Conv2D(2, 3, name="seen")(photo)
    heard = L.Conv2D(2, 3, name="heard")(L.Reshape((16, 16, 1))(wave))
    return keras.Model([photo, wave], head(seen, heard))


def test_a_waveform_beside_a_photo_is_no_picture_of_it(beside_a_photo: Any) -> None:
    assert vc.attach(beside_a_photo, "seen").taps[0].reference_input == 0
    with pytest.raises(InputShapeError, match=r"`size`='input' needs an input with the spatial axes of 'heard'"):
        vc.attach(beside_a_photo, "heard")
    explained = vc.attach(beside_a_photo, ["seen", "heard"], size=(16, 16))
    assert {tap.path: tap.reference_input for tap in explained.taps} == {"seen": 0, "heard": None}
    with pytest.raises(InputShapeError, match="'heard'"):
        vc.attach(beside_a_photo, "heard", render="overlay")


def test_no_image_is_masked_that_the_layer_does_not_see(beside_a_photo: Any) -> None:
    with pytest.raises(InputShapeError, match=r"`method`='scorecam' masks the input with the spatial axes of 'heard'"):
        vc.attach(beside_a_photo, "heard", method="scorecam", size=(16, 16))
    assert vc.attach(beside_a_photo, "heard", method="ablationcam", size=(16, 16))


@pytest.mark.parametrize("order", [("photo", "mask"), ("mask", "photo")])
def test_an_image_before_other_inputs(order: Any) -> None:
    inputs = {"photo": keras.Input((16, 16, 3), name="photo"), "mask": keras.Input((16, 16, 8), name="mask")}
    given = [inputs[name] for name in order]
    maps = L.Conv2D(2, 3, name="conv")(L.Concatenate()(given))
    model = keras.Model(given, head(maps))
    explained = vc.attach(model, "conv")
    assert explained.plan.inputs.names[explained.taps[0].reference_input] == "photo"


def test_the_first_of_two_photos() -> None:
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    maps = [L.Conv2D(2, 3, name=f"conv_{name}")(x) for name, x in (("l", left), ("r", right))]
    both = L.Conv2D(2, 3, name="both")(L.Add()(maps))
    model = keras.Model([left, right], head(both))
    explained = vc.attach(model, ["conv_l", "conv_r", "both"])
    assert [tap.reference_input for tap in explained.taps] == [0, 1, 0]


def test_a_photo_that_only_scales_a_waveform_is_not_its_picture() -> None:
    photo, wave = keras.Input((16, 16, 3), name="photo"), keras.Input((256,), name="wave")
    gate = L.Reshape((1, 1, 1))(L.Dense(1)(L.GlobalAveragePooling2D()(photo)))
    maps = L.Conv2D(2, 3, name="conv")(L.Multiply()([L.Reshape((16, 16, 1))(wave), gate]))
    with pytest.raises(InputShapeError, match="'conv'"):
        vc.attach(keras.Model([photo, wave], head(maps)), "conv")


@pytest.mark.parametrize("dimensions", [1, 2])
def test_convolutions_over_time_that_return_the_last_map(dimensions: int) -> None:
    space = (20, 24)[:dimensions]
    clip = keras.Input((5, *space, 3))
    layer = {1: L.ConvLSTM1D, 2: L.ConvLSTM2D}[dimensions]
    first = layer(4, 3, return_sequences=True, name="first")(clip)
    last = layer(4, 3, name="second")(L.BatchNormalization()(first))
    explained = vc.attach(keras.Model(clip, head(last)), ["first", "second"], method="mean")
    outputs = explained.predict(np.random.default_rng(0).random((2, 5, *space, 3)).astype("float32"), verbose=0)
    assert outputs["heatmap_second"].shape == (2, *space)
    assert outputs["heatmap_first"].shape == (2, 5, *space)


def test_pooling_over_time_and_over_depth() -> None:
    clip = keras.Input((5, 12, 16, 3))
    pooled = keras.ops.max(L.Conv3D(2, 3, padding="same", name="steps")(clip), axis=1)
    model = keras.Model(clip, head(L.Conv2D(2, 3, name="conv")(pooled)))
    assert [tap.reference_axes for tap in vc.attach(model, "conv").taps] == [(1, 2, 3), (2, 3)]
    assert vc.attach(model, "conv").outputs[-1].shape == (None, 12, 16)
    volume = keras.Input((12, 16, 5, 1))
    flat = L.Reshape((12, 16, 5))(volume)[:, 2:]
    model = keras.Model(volume, head(L.Conv2D(2, 1, name="conv")(flat)))
    (tap,) = vc.attach(model, "conv").taps
    assert tap.reference_axes == (1, 2)
    assert tap.region is not None


def test_a_row_of_columns_is_a_picture_of_the_width() -> None:
    image = keras.Input((12, 40, 1))
    columns = keras.ops.mean(L.Conv2D(4, 3, padding="same", name="maps")(image), axis=1)
    model = keras.Model(image, head(L.Conv1D(4, 3, name="columns")(columns)))
    explained = vc.attach(model, "columns")
    assert explained.predict(np.ones((2, 12, 40, 1)), verbose=0)["heatmap_columns"].shape == (2, 40)
    with pytest.raises(InvalidArgumentError, match=r"`render` must be None unless the layer sees gray or color"):
        vc.attach(model, "columns", render="overlay")


def test_tokens_are_a_picture_of_the_image() -> None:
    image = keras.Input((16, 24, 3))
    tokens = L.Reshape((24, 8))(L.Conv2D(8, 4, strides=4)(image))
    model = keras.Model(image, head(L.Dense(8, name="tokens")(tokens)))
    (tap,) = vc.attach(model, "tokens").taps
    assert (tap.reference_input, tap.reference_axes, tap.space, tap.region) == (0, (1, 2), (4, 6), None)


def test_channels_first_images_in_a_model_of_channels_last() -> None:
    image = keras.Input((3, 12, 16))
    maps = L.Conv2D(2, 3, name="conv", data_format="channels_last")(L.Permute((2, 3, 1))(image))
    assert vc.attach(keras.Model(image, head(maps)), "conv").outputs[-1].shape == (None, 12, 16)


def test_views_that_are_merged_into_the_batch() -> None:
    views = keras.Input((4, 16, 18, 3))
    merged = keras.ops.reshape(views, (-1, 16, 18, 3))[:, 4:]
    maps = L.Conv2D(4, 1, name="conv")(merged)
    pooled = keras.ops.max(keras.ops.reshape(L.GlobalAveragePooling2D()(maps), (-1, 4, 4)), axis=1)
    (tap,) = vc.attach(keras.Model(views, L.Dense(2)(pooled)), "conv").taps
    assert (tap.reference_input, tap.reference_axes) == (0, (2, 3))
    assert tap.region is not None
    assert tap.region.box == ((0.25, 1.0), (0.0, 1.0))
