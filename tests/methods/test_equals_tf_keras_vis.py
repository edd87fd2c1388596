"""The same maps as tf-keras-vis 0.8.7: same layer, same class, no enlarging, no normalizing.

Where the two differ on purpose, the difference is accounted for, so that it is known to be the only one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr
from support.trained import LAYERS, digits, digits_cnn, functional
from support.zoo_models import last_map, settled

import visualcnn_tf as vc

with warnings.catch_warnings():
    # It imports SciPy's zoom by a name that SciPy has deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.layercam import Layercam
    from tf_keras_vis.scorecam import Scorecam
from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
from tf_keras_vis.utils.scores import CategoricalScore

PEERS = {"gradcam": Gradcam, "layercam": Layercam, "gradcam++": GradcamPlusPlus}


@pytest.fixture(scope="module")
def cnn() -> Any:
    return functional(digits_cnn())


@pytest.fixture(scope="module")
def images() -> Any:
    return digits().test_images[:16]


def peer(method: str, model: Any, layer: str, x: Any, classes: Any) -> np.ndarray:
    explainer = PEERS[method](model, model_modifier=ReplaceToLinear())
    options: Any = {"penultimate_layer": layer, "seek_penultimate_conv_layer": False}
    maps = explainer(CategoricalScore([int(k) for k in classes]), x, **options, expand_cam=False, normalize_cam=False)
    return np.asarray(maps)


def ours(method: str, model: Any, layers: Any, x: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    explained = vc.attach(model, layers, method=method, normalize=None, size=None)
    outputs = explained.predict(x, verbose=0)
    return {tap.path: outputs[tap.key] for tap in explained.taps}, outputs["explained_class"]


def largest_difference(got: np.ndarray, want: np.ndarray) -> float:
    """Over all images, relative to the largest value of each; it must have one."""
    space = tuple(range(1, want.ndim))
    peak = np.abs(want).max(space)
    assert (peak > 0).all()
    return float((np.abs(got - want).max(space) / peak).max())


@pytest.mark.parametrize("method", ["gradcam", "layercam"])
def test_digits_at_every_tap(cnn: Any, images: Any, method: str) -> None:
    maps, classes = ours(method, cnn, list(LAYERS), images)
    assert list(maps) == list(LAYERS)
    for layer, got in maps.items():
        want = peer(method, cnn, layer, images, classes)
        shown = want.max((1, 2)) > 0  # nothing of a map is left where all evidence is against the class
        assert shown.mean() > 0.8
        np.testing.assert_allclose(got[~shown], 0)
        assert largest_difference(got[shown], want[shown]) < 1e-5, layer


@pytest.fixture
def graphs_as_they_are() -> Iterator[None]:
    # The peer computes eagerly. In graphs TensorFlow rewrites the arithmetic of batch normalization, which changes the
    # last bits of the activations; where channels of both signs cancel, the map tells: by 5e-5 in ResNet50.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})


HEAVY = ("ResNet50", "EfficientNetB0", "DenseNet121")


@pytest.mark.slow
@pytest.mark.usefixtures("graphs_as_they_are")
@pytest.mark.parametrize("name", ["MobileNetV2", *(pytest.param(name, marks=pytest.mark.slow) for name in HEAVY)])
def test_last_map_of_real_architectures(name: str) -> None:
    model, x = settled(name)
    layer = last_map(model)
    for method in ("gradcam", "layercam"):
        maps, classes = ours(method, model, layer, x)
        assert largest_difference(maps[layer], peer(method, model, layer, x, classes)) < 1e-5, method


def test_the_peers_gradcam_plus_plus_normalizes_alpha_and_multiplies_by_the_exponential_of_the_score(
    cnn: Any, images: Any
) -> None:
    layer = "conv3"
    maps, classes = ours("gradcam++", cnn, layer, images)
    a, g, score = activations_gradients_scores(cnn, layer, images, classes)
    total = a.sum((1, 2), keepdims=True)

    def fused(factor: Any, normalized: bool) -> np.ndarray:
        """By the paper, and by the peer: with exp(score) in the second and third derivative alike."""
        square, cube = factor * g**2, factor * g**3
        denominator = 2 * square + cube * total
        alpha = np.divide(square, denominator, out=np.zeros_like(g), where=denominator != 0)
        if normalized:
            share = alpha.sum((1, 2), keepdims=True)
            alpha = np.divide(alpha, share, out=np.zeros_like(g), where=share != 0)
        weights = (alpha * np.maximum(factor * g, 0)).sum((1, 2), keepdims=True)
        return np.maximum((weights * a).sum(-1), 0)

    want = peer("gradcam++", cnn, layer, images, classes)
    assert largest_difference(maps[layer], fused(1.0, normalized=False)) < 1e-4
    assert largest_difference(want, fused(np.exp(score), normalized=True)) < 1e-4
    # exp(score) cancels in alpha and is one factor of the whole map; what else differs is the division of alpha.
    scaled = np.exp(score)[..., 0] * fused(1.0, normalized=True)
    assert largest_difference(want, scaled) < 1e-4
    assert largest_difference(want / want.max((1, 2), keepdims=True), maps[layer]) > 1e-2


def activations_gradients_scores(model: Any, layer: str, x: Any, classes: Any) -> tuple[Any, Any, Any]:
    """In float64, with TensorFlow's tape and a linear last layer."""
    body = keras.Model(model.inputs[0], [model.get_layer(layer).output, model.layers[-1].input])
    head = model.layers[-1]
    with tf.GradientTape() as tape:
        activations, features = body(x)
        logits = features @ head.kernel + head.bias
        score = tf.gather(logits, classes, batch_dims=1)
    gradients = tape.gradient(score, activations)
    shape = [-1, 1, 1, 1]
    return activations.numpy().astype(float), gradients.numpy().astype(float), np.reshape(score, shape).astype(float)


@pytest.mark.slow
def test_scorecam_ranks_positions_as_the_peer_does(cnn: Any, images: Any) -> None:
    # The peer weighs each channel by a softmax over the classes, the paper by one over the channels of the logit. With
    # the outputs [z - 30, 0] the peer's is proportional to exp(z), which is the paper's up to a factor.
    layer, correlations = "conv3", []
    for x in images[:4]:
        maps, classes = ours("scorecam", cnn, layer, x[None])
        logits = keras.layers.Dense(10, name="logits")
        features = cnn.layers[-1].input
        score = logits(features)[:, int(classes[0]) : int(classes[0]) + 1]
        model = keras.Model(cnn.inputs, keras.layers.Concatenate()([score - 30.0, score * 0.0]))
        logits.set_weights(cnn.layers[-1].get_weights())
        options: Any = {"penultimate_layer": layer, "seek_penultimate_conv_layer": False}
        want = Scorecam(model)(CategoricalScore([0]), x[None], **options, expand_cam=False, normalize_cam=False)
        correlations.append(spearmanr(maps[layer].ravel(), np.asarray(want).ravel()).statistic)
    assert min(correlations) > 0.99, correlations
