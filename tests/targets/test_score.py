"""A function of the model's output, or of its logits, as what is explained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support import oracle_gradient
from support.linear_classifier import X, classifier, layercam
from support.model_kinds import images
from support.oracle import assert_close
from support.runtimes import run_litert

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.targets import Score


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(2)
    return classifier(L.Dense(4, activation="softmax", name="head"))


# --- of the output ---


def test_a_callable_of_a_map() -> None:
    conv, head = L.Conv2D(3, 3, activation="relu", name="maps"), L.Conv2D(2, 1, name="mask")
    model = keras.Sequential([keras.Input((8, 7, 2)), conv, head])
    explained = layercam(model, target=lambda masks: tf.reduce_mean(masks[..., 1], (1, 2)))
    out = explained(X)
    assert list(out) == ["predictions", "heatmap_maps"]
    a = conv(X).numpy()
    g = np.broadcast_to(head.kernel.numpy()[0, 0, :, 1], a.shape) / (6 * 5)
    assert_close(out["heatmap_maps"], oracle_gradient.heatmap(a, g, "layercam", (8, 7)))


@pytest.mark.parametrize(
    ("wrong", "received"),
    [
        (lambda y: y, r"\(None, 4\) of type float32"),
        (tf.reduce_mean, r"\(\) of type float32"),
        (lambda y: tf.argmax(y, -1), r"\(None,\) of type int64"),
        (lambda y: 1.0, "float"),
        (lambda y: [y[:, 0]], "list"),
        (lambda y: None, "NoneType"),
    ],
)
def test_what_a_callable_must_return(model: Any, wrong: Any, received: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        layercam(model, target=wrong)
    message = str(caught.value)
    assert message.startswith("`target` must return one float score for each image, (B,)")
    assert f"Received: {received.replace(chr(92), '')}. Reduce all axes" in message


@pytest.mark.parametrize("on", ["output", "logits"])
@pytest.mark.parametrize(
    ("flatten", "received"),
    [
        (lambda y: tf.reshape(y, [-1]), "12 scores for 3 images"),
        (lambda y: tf.reshape(y[:, 1:], [-1]), "9 scores for 3 images"),
        (lambda y: y[0], "4 scores for 3 images"),
        (lambda y: y[:1, 0], "1 scores for 3 images"),
    ],
    ids=["flattened", "sliced and flattened", "the first image", "a batch of one"],
)
def test_a_function_must_not_mix_the_images(model: Any, on: str, flatten: Any, received: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        layercam(model, target=Score(flatten, on=on))
    message = str(caught.value)
    assert message.startswith("`target` must return one score for each image, (B,), of an output of shape (None, 4). ")
    assert f"Received: {received}. Reduce or index every axis but the first." in message


@pytest.mark.parametrize("size", [(None, None, 2), (8, 8, 2)])
def test_a_function_may_reduce_axes_of_any_size(size: Any) -> None:
    model = keras.Sequential([keras.Input(size), L.Conv2D(5, 3, name="maps"), L.Conv2D(4, 1)])
    layercam(model, target=lambda masks: tf.reduce_sum(masks[..., 1], (1, 2)))(images(2, 8, 8, 2))


# --- of the logits ---

IMAGES = np.random.default_rng(0).random((2, 32, 32, 3)).astype("float32")
PIXEL = (5, 9)


@keras.saving.register_keras_serializable(package="test_score")
def sure_pixel(masks: Any) -> Any:
    """One class of one pixel of masks (B, 32, 32, 3)."""
    return masks[:, PIXEL[0], PIXEL[1], 1]


@keras.saving.register_keras_serializable(package="test_score")
def sure_pixel_channels_first(masks: Any) -> Any:
    """The same of masks (B, 3, 32, 32)."""
    return masks[:, 1, PIXEL[0], PIXEL[1]]


def segmentation(activation: str) -> Any:
    """A model that is sure of class 1 at the pixel: its probability rounds to 1."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="image")
    h = L.Conv2D(8, 3, padding="same", activation="relu", name="enc")(image)
    h = L.Conv2D(8, 3, padding="same", activation="relu", name="dec")(L.MaxPooling2D()(h))
    head = L.Conv2D(3, 1, name="logits")
    logits = head(L.UpSampling2D()(h))
    head.kernel.assign(head.kernel * 600)
    head.bias.assign([0.0, 1e4, 0.0])
    outputs: dict[str, Callable[[Any], Any]] = {
        "softmax": L.Softmax(name="mask"),
        "sigmoid": L.Activation("sigmoid", name="mask"),
        "channels first": lambda z: L.Softmax(axis=1, name="mask")(L.Permute((3, 1, 2))(z)),
        "softmax, clipped": lambda z: keras.ops.clip(L.Softmax(name="mask")(z), 1e-7, 1 - 1e-7),
    }
    return keras.Model(image, outputs[activation](logits))


def raw_gradcam_of_the_logit(model: Any) -> np.ndarray:
    """By TensorFlow's tape, on the layers after ``"dec"``."""
    a = keras.Model(model.input, model.get_layer("dec").output)(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(a)
        score = sure_pixel(model.get_layer("logits")(tf.repeat(tf.repeat(a, 2, 1), 2, 2)))
    return oracle_gradient.fuse(a, tape.gradient(score, a), "gradcam")


def attach_pixel(model: Any, activation: str, on: str) -> Any:
    function = sure_pixel_channels_first if activation == "channels first" else sure_pixel
    return vc.attach(model, "dec", method="gradcam", target=Score(function, on=on), size=None, normalize=None)


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "channels first", "softmax, clipped"])
def test_a_pixel_that_the_model_is_sure_of(activation: str, tmp_path: Path) -> None:
    model = segmentation(activation)
    function = sure_pixel_channels_first if activation == "channels first" else sure_pixel
    np.testing.assert_allclose(function(model(IMAGES)), 1.0, atol=2e-7)
    want = raw_gradcam_of_the_logit(model)
    assert (want.max((1, 2)) > 0).all()
    explained = attach_pixel(model, activation, "logits")
    assert_close(explained(IMAGES)["heatmap_dec"], want)
    assert not attach_pixel(model, activation, "output")(IMAGES)["heatmap_dec"].numpy().any()

    explained.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.options.target == Score(function, on="logits")
    assert_close(loaded.predict(IMAGES, verbose=0)["heatmap_dec"], want)

    report = vc.export_tflite(explained, tmp_path / "m.tflite")
    assert report.builtin_only
    assert_close(run_litert(report.path, IMAGES)["heatmap_dec"], want, 1e-4)


def test_a_class_of_a_sure_classifier(model: Any) -> None:
    """Of logits the function sees what a class index stands for."""
    sure = keras.models.clone_model(model)
    sure.set_weights(model.get_weights())
    kernel = sure.get_layer("head").kernel
    kernel.assign(kernel * 1000.0)
    by_function = layercam(sure, target=Score(lambda logits: logits[:, 2], on="logits"))(X)
    by_index = layercam(sure, target=2)(X)
    assert by_index["heatmap_maps"].numpy().any()
    np.testing.assert_allclose(by_function["heatmap_maps"], by_index["heatmap_maps"], atol=1e-6)
