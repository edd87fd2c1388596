"""Every choice of every option, by ``attach`` and as layers: the same values in every way that a model is used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from cases import BUILDERS, IMAGE, OPTIONS, STEP, check_same, expected, images, is_discriminative, tiny_model
from oracle import assert_close

from visualcnn_tf.fusion import PERTURBATIONS

CASES = [
    pytest.param(builder, options, id=f"{builder}-{kind}-{name}")
    for (kind, name), options in OPTIONS.items()
    for builder in BUILDERS
    if builder == "attach" or not (kind == "combination" or is_discriminative(options))
]
every_case = pytest.mark.parametrize(("builder", "options"), CASES)


def check(outputs: dict[str, Any], truth: dict[str, np.ndarray], dtype: str, tolerance: float = 1e-5) -> None:
    """Compares the outputs of a model with the oracle's."""
    assert set(outputs) == set(truth)
    assert_close(outputs["predictions"], truth["predictions"])
    if "explained_class" in truth:
        np.testing.assert_array_equal(outputs["explained_class"], truth["explained_class"])
    for key in set(truth) - {"predictions", "explained_class"}:
        heatmap = np.asarray(outputs[key])
        assert heatmap.dtype == dtype
        if dtype == "uint8":
            assert abs(heatmap - 255 * truth[key].clip(0, 1)).max() <= 0.51
        else:
            assert_close(heatmap, truth[key], tolerance + STEP[dtype])


@every_case
def test_eager_graph_and_xla(builder: str, options: dict[str, Any]) -> None:
    model = tiny_model()
    subject = BUILDERS[builder](model, options)
    combined = builder == "attach" and "combine" in options
    graph = tf.function(subject, input_signature=[tf.TensorSpec((None, *IMAGE))], autograph=False)
    for batch in (images(1), images(3)):
        eager = subject(batch)
        check(eager, expected(model, batch, options, combined), options.get("dtype", "float32"))
        check_same(graph(batch), eager, 2e-6)
    check_same(tf.function(subject, jit_compile=True, autograph=False)(batch), eager, 1e-5)
    check_same(subject.predict(batch, verbose=0), eager, 2e-6)


@every_case
def test_config_and_keras_file(builder: str, options: dict[str, Any], tmp_path: Path) -> None:
    subject, batch = BUILDERS[builder](tiny_model(), options), images(3)
    outputs = subject(batch)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(subject)))
    again = keras.saving.deserialize_keras_object(config)
    again.set_weights(subject.get_weights())
    check_same(again(batch), outputs, 0.0)
    subject.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(subject)
    check_same(loaded(batch), outputs, 0.0)


@pytest.fixture(params=["mixed_float16", "mixed_bfloat16"])
def policy(request: Any) -> Iterator[str]:
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


@every_case
def test_mixed_precision(policy: str, builder: str, options: dict[str, Any]) -> None:
    model, batch = tiny_model(), images(3)
    assert model.get_layer("conv_1").compute_dtype == policy.removeprefix("mixed_")
    combined = builder == "attach" and "combine" in options
    outputs = BUILDERS[builder](model, options)(batch)
    # Of the feature maps as they are in half precision, the heatmap is exact to float32, gradients included; what
    # runs the model again has scores as exact as the model's own.
    step = {"mixed_float16": 2**-11, "mixed_bfloat16": 2**-8}[policy]
    tolerance = 8 * step if options.get("method") in PERTURBATIONS else 1e-5
    check(outputs, expected(model, batch, options, combined), options.get("dtype", "float32"), tolerance)
