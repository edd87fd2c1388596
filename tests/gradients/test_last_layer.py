"""The logit of one class, computed from one column of the last dense layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.model_kinds import images

import visualcnn_tf as vc
from visualcnn_tf.gradients.last_layer import last_layer
from visualcnn_tf.targets.head import find_head

FEATURES, CLASSES, REPEATS = 5, 4, 3


def dense(**options: Any) -> list[Any]:
    return [L.Dense(CLASSES, bias_initializer="normal", **options)]


FOUND: dict[str, Callable[[], list[Any]]] = {
    "softmax": lambda: dense(activation="softmax"),
    "layer after it": lambda: [*dense(), L.Softmax()],
    "sigmoid": lambda: dense(activation="sigmoid"),
    "linear": dense,
    "no bias": lambda: dense(use_bias=False, activation="softmax"),
    "half": lambda: [*dense(dtype="mixed_float16"), L.Softmax(dtype="float32")],
    "double": lambda: dense(activation="softmax", dtype="float64"),
}
NOT_FOUND: dict[str, Callable[[], list[Any]]] = {
    "scaled": lambda: [*dense(), L.Rescaling(2.0), L.Softmax()],
    "per channel": lambda: [*dense(), L.LayerNormalization(), L.Softmax()],
    "a convolution": lambda: [L.Reshape((1, 1, FEATURES)), L.Conv2D(CLASSES, 1), L.Flatten(), L.Softmax()],
}


def traced(layers: list[Any]) -> tuple[Any, Any]:
    """The graph of a head, and its last layer or None."""
    model = keras.Sequential([keras.Input((FEATURES,)), *layers])

    def scores(features: Any, classes: Any) -> Any:
        logits = find_head(model(features)).logits
        last = last_layer(logits)
        found.append(last)
        return logits if last is None else (logits, last.scores(classes, REPEATS))

    found: list[Any] = []
    specs = [tf.TensorSpec((None, FEATURES)), tf.TensorSpec((None, 1), tf.int32)]
    return tf.function(scores, specs, autograph=False).get_concrete_function(), found[0]


@pytest.mark.parametrize("name", FOUND)
def test_equals_the_logits(name: str) -> None:
    keras.utils.set_random_seed(1)
    graph, last = traced(FOUND[name]())
    assert last is not None
    classes = np.array([[2], [0], [3]], np.int32)
    logits, scores = graph(tf.constant(images(3 * REPEATS, FEATURES)), tf.constant(classes))
    expected = logits.numpy().astype(float)[np.arange(3 * REPEATS), np.repeat(classes[:, 0], REPEATS)]
    np.testing.assert_allclose(scores.numpy().ravel(), expected, rtol=0, atol=2e-3 if name == "half" else 1e-6)
    assert scores.dtype == (tf.float64 if name == "double" else tf.float32)


@pytest.mark.parametrize("name", NOT_FOUND)
def test_logits_that_come_from_anything_else(name: str) -> None:
    assert traced(NOT_FOUND[name]())[1] is None


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("target", ["predicted", "top2", [3, 1], "input"])
@pytest.mark.parametrize("method", ["reciprocam", "scorecam", "ablationcam"])
def test_the_maps_are_those_of_all_logits(method: str, target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    keras.utils.set_random_seed(1)
    layers = [L.Conv2D(3, 3, activation="relu", name="conv"), L.GlobalAveragePooling2D(), *FOUND["softmax"]()]
    model = keras.Sequential([keras.Input((8, 8, 2), name="image"), *layers])
    inputs: Any = images(3, 8, 8, 2)
    if target == "input":
        # One class, the predicted one, and one that is none.
        inputs = {"image": inputs, "class_index": np.array([2, -1, 9])}

    def outputs() -> dict[str, Any]:
        explained = vc.attach(model, "conv", method=method, target=target, normalize=None, size=None)
        return {key: np.array(value) for key, value in explained(inputs).items()}

    by_columns = outputs()
    monkeypatch.setattr("visualcnn_tf.targets.graph_scores.last_layer", lambda logits: None)
    for key, expected in outputs().items():
        np.testing.assert_allclose(by_columns[key], expected, rtol=0, atol=1e-6, err_msg=key)
