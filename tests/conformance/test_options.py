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
from support import oracle, oracle_gradient
from support.option_cases import (
    BUILDERS,
    IMAGE,
    OPTIONS,
    STEP,
    check_same,
    expected,
    explains_class,
    images,
    method_of,
    tiny_model,
)
from support.oracle import assert_close

import visualcnn_tf as vc

# What takes long to trace; tests of their own run these every day.
LONG = {"eigengradcam", "reciprocam", "scorecam", "ablationcam", "top2", "(2, 0)"}
CASES = [
    pytest.param(builder, options, id=f"{builder}-{kind}-{name}", marks=[pytest.mark.slow] * (name in LONG))
    for (kind, name), options in OPTIONS.items()
    for builder in BUILDERS
    if builder == "attach" or not (kind == "combination" or explains_class(options))
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
        check(eager, expected(model, batch, options, combined), options.get("heatmap_dtype", "float32"))
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


@pytest.fixture(params=["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
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
    tolerance = 8 * step if method_of(options).needs_replay else 1e-5
    check(outputs, expected(model, batch, options, combined), options.get("heatmap_dtype", "float32"), tolerance)


LAYER_METHODS = [name for name in vc.methods.NAMES if not vc.methods.get(name).needs_replay]


@pytest.mark.parametrize("method", LAYER_METHODS)
def test_gradients_of_the_layer_against_differences(method: str) -> None:
    generator = np.random.default_rng(4)
    a = generator.uniform(0.5, 2, (1, 3, 2, 4)).astype(np.float32)
    g = generator.uniform(0.5, 2, a.shape).astype(np.float32)
    weights = generator.normal(size=(1, 4, 5))

    def truth(a: np.ndarray) -> float:
        fused = oracle_gradient.fuse(a, g, method) if method in oracle_gradient.FUSIONS else oracle.fuse(a, method)
        return float((oracle_gradient.finished(fused, (4, 5)) * weights).sum())

    differences = np.zeros(a.shape)
    for position in np.ndindex(a.shape):
        moved = [a.astype(np.float64) for _ in range(2)]
        moved[0][position] += 1e-6
        moved[1][position] -= 1e-6
        differences[position] = (truth(moved[0]) - truth(moved[1])) / 2e-6
    layer = vc.FeatureMapFusion(method, size=(4, 5))
    with tf.GradientTape() as tape:
        tape.watch(maps := tf.constant(a))
        given = [maps, tf.constant(g)] if method in oracle_gradient.FUSIONS else maps
        total = tf.reduce_sum(layer(given) * tf.constant(weights, tf.float32))
    found = tape.gradient(total, maps).numpy()
    assert abs(differences).max() > 1e-2
    np.testing.assert_allclose(found, differences, atol=1e-3 * abs(differences).max())
