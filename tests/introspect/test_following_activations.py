"""Tapping the activation that follows a layer in the layer's place."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError


def paths(model: Any, layers: Any = "conv") -> list[str]:
    return [tap.path for tap in vc.attach(model, layers, after_activation=True).taps]


def block(x: Any, name: str, activation: Any) -> Any:
    x = L.Conv2D(4, 3, padding="same", name=f"{name}_conv")(x)
    return activation(L.BatchNormalization(name=f"{name}_bn")(x))


def test_follows_normalization_dropout_and_activation() -> None:
    image = keras.Input((8, 8, 3))
    x = block(image, "a", L.ReLU(name="a_relu"))
    x = L.SpatialDropout2D(0.5, name="a_drop")(x)
    x = block(x, "b", L.Activation("silu", name="b_silu"))
    model = keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(x)))
    assert paths(model) == ["a_relu", "b_silu"]  # in inference, dropout returns what it gets
    assert paths(model, "a_conv") == ["a_relu"]
    assert [tap.path for tap in vc.attach(model).taps] == ["a_conv", "b_conv"]


def test_stops_where_another_layer_reads_too() -> None:
    image = keras.Input((8, 8, 3))
    x = block(image, "a", L.ReLU(name="a_relu"))
    y = L.BatchNormalization(name="b_bn")(L.Conv2D(4, 3, padding="same", name="b_conv")(x))
    z = L.ReLU(name="sum_relu")(L.Add(name="sum")([x, y]))
    gate = L.Conv2D(4, 1, name="gate_conv")(z)
    two = [L.ReLU(name="one")(gate), L.Activation("tanh", name="two")(gate)]
    model = keras.Model(image, L.Dense(2)(L.Flatten()(L.Add()(two))))
    assert paths(model) == ["a_relu", "b_bn", "gate_conv"]


def test_the_next_convolution_ends_it() -> None:
    model = keras.Sequential(
        [
            keras.Input((9, 9, 1)),
            L.Conv2D(3, 3, name="one"),
            L.Conv2D(3, 3, name="two"),
            L.ReLU(name="relu"),
            L.Flatten(),
        ]
    )
    assert paths(model) == ["one", "relu"]


def test_functions_nested_models_and_time_steps() -> None:
    inner_image = keras.Input((8, 8, 3))
    inner = keras.Model(inner_image, block(inner_image, "a", keras.ops.relu), name="inner")
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(inner(image))))
    [path] = paths(model)
    assert path.startswith("inner/")
    assert "relu" in path
    film = keras.Input((2, 8, 8, 3))
    over_time = keras.Model(film, L.Dense(2)(L.Flatten()(L.TimeDistributed(inner, name="film")(film))))
    [path] = paths(over_time)
    assert "relu" in path


def test_heatmaps_are_those_of_the_activation() -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = block(image, "a", L.ReLU(name="a_relu"))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(x)))
    x = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    got = vc.attach(model, "a_conv", after_activation=True).predict(x, verbose=0)
    want = vc.attach(model, "a_relu").predict(x, verbose=0)
    assert list(got) == ["predictions", "heatmap_a_relu"]
    np.testing.assert_array_equal(got["heatmap_a_relu"], want["heatmap_a_relu"])


def test_two_layers_that_end_at_one_activation_are_one_tap() -> None:
    image = keras.Input((8, 8, 3))
    x = L.Conv2D(2, 3, name="conv")(image)
    model = keras.Model(image, L.Dense(2)(L.Flatten()(L.ReLU(name="relu")(x))))
    assert paths(model, ["conv", "relu"]) == ["relu"]


def test_a_bad_value() -> None:
    model = keras.Sequential([keras.Input((9, 9, 1)), L.Conv2D(3, 3)])
    with pytest.raises(InvalidArgumentError, match=r"`after_activation` must be .*Received: 'yes'"):
        vc.attach(model, after_activation="yes")  # type: ignore[arg-type]
