"""Options, models and inputs that are refused, with errors that say what to do."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from support.model_kinds import Subclassed, images, small_cnn_layers

import visualcnn_tf as vc
from visualcnn_tf.errors import (
    IncompatibleModelError,
    InputShapeError,
    InvalidArgumentError,
    LayerNotFoundError,
    NoFeatureMapError,
)


@pytest.fixture(scope="module")
def cnn() -> Any:
    return keras.Sequential([keras.Input((12, 12, 2)), *small_cnn_layers()], name="cnn")


BAD_OPTIONS = [
    ({"method": "gradcamm"}, InvalidArgumentError, r"`method` must be one of 'deviation'.*Received: 'gradcamm'"),
    ({"method": "deviatoin"}, InvalidArgumentError, r"Did you mean 'deviation'"),
    ({"method": {"conv_*": "nope"}}, InvalidArgumentError, r"`method`.*Received: 'nope'"),
    ({"method": {"zzz": "max"}}, LayerNotFoundError, r"`method` patterns.*'zzz'"),
    ({"method": lambda maps: maps}, InvalidArgumentError, r"`method` must return one map per image"),
    ({"method": lambda maps: 1.0}, InvalidArgumentError, r"`method` must return.*float"),
    ({"interpolation": "cubic"}, InvalidArgumentError, r"`interpolation`.*'bicubic'"),
    ({"normalize": "l2"}, InvalidArgumentError, r"`normalize` must be 'minmax', 'max'"),
    ({"normalize": ("range", 1.0, 1.0)}, InvalidArgumentError, r"low < high"),
    ({"normalize": ("range", float("nan"), 1.0)}, InvalidArgumentError, r"low < high"),
    ({"heatmap_dtype": "int8"}, InvalidArgumentError, r"`heatmap_dtype` must be one of 'float32', 'float16', 'uint8'"),
    ({"heatmap_dtype": "uint8", "normalize": None}, InvalidArgumentError, r"`heatmap_dtype`.*Raw values"),
    ({"size": 0}, InvalidArgumentError, r"`size`.*Received: 0"),
    ({"size": (0, 4)}, InvalidArgumentError, r"`size`.*positive"),
    ({"size": (-1, 4)}, InvalidArgumentError, r"`size`.*positive"),
    ({"size": (4,)}, InvalidArgumentError, r"`size` must be \(H, W\)"),
    ({"size": (4, 4, 4)}, InvalidArgumentError, r"`size` must be \(H, W\)"),
    ({"size": "original"}, InvalidArgumentError, r"`size`.*'input'"),
    ({"combine": "sum"}, InvalidArgumentError, r"`combine` must be one of 'mean', 'max', 'product'"),
    ({"combine": "mean", "size": None}, InvalidArgumentError, r"`size`.*`combine`"),
    ({"combine_weights": [1, 1, 1]}, InvalidArgumentError, r"`combine_weights`"),
    ({"combine": "mean", "combine_weights": [1]}, InvalidArgumentError, r"3 numbers"),
    ({"combine": "mean", "combine_weights": [0, 0, 0]}, InvalidArgumentError, r"not all 0"),
    ({"combine": "mean", "combine_weights": {"zzz": 2}}, LayerNotFoundError, r"`combine_weights` patterns.*zzz"),
    ({"check_numerics": "yes"}, InvalidArgumentError, r"`check_numerics`"),
    ({"input_shape": (13, 12, 2)}, InvalidArgumentError, r"`input_shape` must be compatible with"),
    ({"input_shape": 5}, InvalidArgumentError, r"`input_shape` must be a shape"),
    ({"input_shape": (0, 3)}, InvalidArgumentError, r"`input_shape` must be a shape"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_bad_options(cnn: Any, options: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        vc.attach(cnn, **options)
    assert isinstance(caught.value, vc.VisualCNNError)
    assert "Received" in str(caught.value)


def dense_only() -> Any:
    return keras.Sequential([keras.Input((4,)), L.Dense(2)], name="dense_only")


def generator() -> Any:
    return keras.Sequential([keras.Input((4,)), L.Dense(16), L.Reshape((4, 4, 1)), L.Conv2DTranspose(2, 3, name="up")])


class KerasTwo:
    layers = ()


KerasTwo.__module__ = "tf_keras.src.engine.training"


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda x: x, IncompatibleModelError, r"`model` must be a Keras 3 model.*Received: function"),
        ("model.keras", IncompatibleModelError, r"load_model"),
        (None, IncompatibleModelError, r"Received: NoneType"),
        (L.Conv2D(1, 1), IncompatibleModelError, r"Received: Conv2D"),
        (KerasTwo(), IncompatibleModelError, r"Keras 2 .*load_weights"),
        (dense_only(), NoFeatureMapError, r"convolution or pooling layer. Received: 'dense_only'"),
        (generator(), InputShapeError, r"`size`='input' needs an input with the spatial axes of 'up'"),
    ],
)
def test_bad_models(model: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        vc.attach(model)


def test_a_generator_works_at_its_own_size() -> None:
    outputs = vc.attach(generator(), size=None)(images(2, 4))
    assert outputs["heatmap_up"].shape == (2, 6, 6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((12, 12, 2), r"x\[np.newaxis\]"),
        ((3, 12, 12, 3), r"number of channels"),
        ((3, 10, 12, 2), r"size differs"),
        ((3, 12, 12), r"number of axes"),
        ((3, 5, 12, 12, 2), r"number of axes"),
    ],
)
def test_bad_inputs(cnn: Any, shape: Any, message: str) -> None:
    explained = vc.attach(cnn)
    for call in (explained, lambda x: explained.predict(x, verbose=0)):
        with pytest.raises(InputShapeError, match=message) as caught:
            call(np.zeros(shape, "float32"))
        assert str(shape) in str(caught.value)


def test_bad_inputs_of_several() -> None:
    inputs = {"left": keras.Input((8, 8, 1), name="left"), "right": keras.Input((8, 8, 1), name="right")}
    model = keras.Model(inputs, L.Flatten()(L.Conv2D(1, 3)(L.Add()(list(inputs.values())))))
    explained = vc.attach(model)
    with pytest.raises(InputShapeError, match="must be 2 tensors"):
        explained.predict(images(2, 8, 8, 1), verbose=0)
    with pytest.raises(InputShapeError, match="must be 2 tensors"):
        explained.predict({"left": images(2, 8, 8, 1)}, verbose=0)


def test_subclassed_models_check_channels() -> None:
    model = Subclassed()
    model(images(1, 9, 9, 2))
    with pytest.raises(InputShapeError, match="number of channels"):
        vc.attach(model)(images(1, 9, 9, 3))


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch, cnn: Any) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for attempt in (lambda: vc.attach(cnn), vc.FeatureMapFusion):
        with pytest.raises(IncompatibleModelError, match=r"'jax'.*KERAS_BACKEND=tensorflow"):
            attempt()
