"""Images without a channel axis, images that can't be masked, and images in another order than their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError, NoFeatureMapError

pytestmark = [
    pytest.mark.filterwarnings("ignore::visualcnn_tf.errors.SpatialAxesLostWarning"),
    pytest.mark.filterwarnings("ignore:Layer 'conv' .* was passed an input with a mask"),  # Keras's own
]
RNG = np.random.default_rng(0)


def assert_same(got: dict[str, Any], want: dict[str, Any]) -> None:
    assert set(got) == set(want)
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, atol=1e-5, err_msg=name)


def digits_with_twin() -> tuple[keras.Model, keras.Model]:
    """A model of images (28, 28), and the one of images (28, 28, 1)."""
    keras.utils.set_random_seed(0)
    conv, head = L.Conv2D(4, 3, activation="relu", name="conv"), L.Dense(3, activation="softmax")
    flat, image = keras.Input((28, 28), name="image"), keras.Input((28, 28, 1), name="image_1")
    answer = lambda x: head(L.GlobalAveragePooling2D()(conv(x)))  # noqa: E731
    return keras.Model(flat, answer(L.Reshape((28, 28, 1))(flat))), keras.Model(image, answer(image))


DIGITS = RNG.random((2, 28, 28)).astype("float32")


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("method", ["deviation", "gradcam", "scorecam", "ablationcam", "reciprocam"])
def test_images_without_channels_equal_their_twin(method: str, tmp_path: Path) -> None:
    model, twin = digits_with_twin()
    explained = vc.attach(model, "conv", method=method)
    want = vc.attach(twin, "conv", method=method).predict(DIGITS[..., np.newaxis], verbose=0)
    assert_same(explained.predict(DIGITS, verbose=0), want)
    assert_same(explained(DIGITS[..., np.newaxis]), want)
    vc.export_tflite(explained, tmp_path / "m.tflite", representative_data=DIGITS)


@pytest.mark.slow
def test_scorecam_on_signals_and_volumes() -> None:
    keras.utils.set_random_seed(0)
    for rank, conv in ((1, L.Conv1D), (3, L.Conv3D)):
        shape = (8,) * rank
        layer, head = conv(3, 3, activation="relu", name="conv"), L.Dense(2)
        bare, full = keras.Input(shape), keras.Input((*shape, 1))
        answer = lambda x, layer=layer, head=head: head(L.Flatten()(layer(x)))  # noqa: E731
        models = keras.Model(bare, answer(L.Reshape((*shape, 1))(bare))), keras.Model(full, answer(full))
        x = RNG.random((2, *shape)).astype("float32")
        got, want = (vc.attach(model, "conv", method="scorecam") for model in models)
        assert_same(got.predict(x, verbose=0), want.predict(x[..., np.newaxis], verbose=0))


def test_the_visualizer_runs_models_without_channels() -> None:
    model, twin = digits_with_twin()
    got, want = vc.Visualizer(model, small_layers=True), vc.Visualizer(twin, small_layers=True)
    for image in (DIGITS[0], DIGITS[:1], DIGITS[0][..., np.newaxis], DIGITS[..., np.newaxis]):
        np.testing.assert_allclose(got.heatmap(image)[0], want.heatmap(image)[0], atol=1e-6)
        np.testing.assert_allclose(got.blurmap(image)[0], want.blurmap(image)[0], atol=1e-5)
    np.testing.assert_allclose(got.heatmap(DIGITS)[0], want.heatmap(DIGITS[..., np.newaxis])[0], atol=1e-6)


def token_model(dtype: str, embed: str = "layer") -> keras.Model:
    tokens = keras.Input((20,), dtype=dtype, name="tokens")
    if embed == "one hot":
        vectors = L.CategoryEncoding(50, output_mode="one_hot")(L.Reshape((20, 1))(tokens))
    else:
        vectors = L.Embedding(50, 8, mask_zero=embed == "mask")(tokens)
    maps = L.Conv1D(4, 3, activation="relu", name="conv")(vectors)
    return keras.Model(tokens, L.Dense(2, activation="softmax")(L.GlobalMaxPooling1D()(maps)))


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("embed", ["layer", "mask", "one hot"])
def test_scorecam_refuses_to_mask_numbers_of_words(dtype: str, embed: str) -> None:
    model = token_model(dtype, embed)
    with pytest.raises(InvalidArgumentError, match=r"does not mask the input 'tokens'.*'scorecam'. Use 'abl"):
        vc.attach(model, "conv", method="scorecam")
    for method in ("ablationcam", "gradcam"):
        vc.attach(model, "conv", method=method).predict(np.ones((2, 20), dtype), verbose=0)


def test_scorecam_masks_images_of_whole_numbers() -> None:
    for dtype in ("uint8", "int32"):
        image = keras.Input((12, 12, 3), dtype=dtype)
        maps = L.Conv2D(4, 3, activation="relu", name="conv")(L.Rescaling(1 / 255)(image))
        model = keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(maps)))
        vc.attach(model, "conv", method="scorecam").predict(np.ones((1, 12, 12, 3), dtype), verbose=0)


def test_scorecam_needs_an_image_and_its_size() -> None:
    vector = keras.Input((144,))
    maps = L.Conv2D(4, 3, activation="relu", name="conv")(L.Reshape((12, 12, 1))(vector))
    model = keras.Model(vector, L.Dense(3)(L.GlobalAveragePooling2D()(maps)))
    with pytest.raises(InputShapeError, match=r"'scorecam' masks the input with the spatial axes of 'conv'.*Use 'abl"):
        vc.attach(model, "conv", method="scorecam", size=None)
    image = keras.Input((None, None, 3), name="image")
    maps = L.Conv2D(4, 3, activation="relu", name="conv")(L.Resizing(12, 12)(image))
    model = keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(maps)))
    with pytest.raises(NoFeatureMapError, match=r"masks the input 'image', whose size must be known"):
        vc.attach(model, "conv", method="scorecam")
    fixed = vc.attach(model, "conv", method="scorecam", input_shape=(20, 20, 3))
    assert fixed.predict(np.ones((1, 20, 20, 3)), verbose=0)["heatmap_conv"].shape == (1, 20, 20)


def scan_and_mask(as_dict: bool) -> keras.Model:
    """Two images whose names are in another order in the alphabet; the score depends on both."""
    keras.utils.set_random_seed(0)
    scan, mask = keras.Input((24, 24, 1), name="scan"), keras.Input((24, 24, 1), name="mask")
    convs = [L.Conv2D(6, 3, activation="relu", name=f"{i.name}_conv")(i) for i in (scan, mask)]
    z = L.Dense(2, name="z")(L.Concatenate()([L.GlobalAveragePooling2D()(conv) for conv in convs]))
    inputs = {"scan": scan, "mask": mask} if as_dict else [scan, mask]
    model = keras.Model(inputs, L.Softmax()(z))
    kernel = model.get_layer("z").kernel
    kernel.assign(kernel * 50)
    return model


def scorecam_by_hand(model: keras.Model, x: dict[str, np.ndarray]) -> np.ndarray:
    """Score-CAM of class 1 at ``scan_conv``, one image and one channel after the other."""
    logits = keras.Model(model.inputs, [model.get_layer("scan_conv").output, model.get_layer("z").output])
    inputs = lambda scan, mask: {"scan": scan, "mask": mask} if isinstance(model.input, dict) else [scan, mask]  # noqa: E731
    maps, rows = np.asarray(logits(inputs(x["scan"], x["mask"]))[0], np.float64), []
    for n in range(len(maps)):
        scores = []
        for k in range(maps.shape[-1]):
            large = np.asarray(tf.image.resize(maps[n : n + 1, :, :, k : k + 1], (24, 24)))
            span = large.max() - large.min()
            masked = x["scan"][n : n + 1] * ((large - large.min()) / (span or 1)).astype("float32")
            scores.append(float(np.asarray(logits(inputs(masked, x["mask"][n : n + 1]))[1])[0, 1]))
        weights = np.exp(np.array(scores) - max(scores))
        rows.append(np.maximum((maps[n] * (weights / weights.sum())).sum(-1), 0))
    return np.array(rows)


@pytest.mark.slow
@pytest.mark.parametrize("as_dict", [False, True])
def test_scorecam_masks_the_image_of_the_layer_in_any_order(as_dict: bool, tmp_path: Path) -> None:
    model = scan_and_mask(as_dict)
    x = {name: RNG.random((2, 24, 24, 1)).astype("float32") for name in ("scan", "mask")}
    want = scorecam_by_hand(scan_and_mask(False), x)
    explained = vc.attach(model, "scan_conv", method="scorecam", target=1, size=None, normalize=None)
    data = tf.data.Dataset.from_tensor_slices(x).batch(2)
    for given in (x, {"mask": x["mask"], "scan": x["scan"]}, data, *([] if as_dict else [[x["scan"], x["mask"]]])):
        np.testing.assert_allclose(explained.predict(given, verbose=0)["heatmap_scan_conv"], want, atol=1e-4)
    np.testing.assert_allclose(explained(x)["heatmap_scan_conv"], want, atol=1e-4)
    folder = vc.export_saved_model(explained, tmp_path / "m", representative_data=x, warmup=False)
    served = tf.saved_model.load(str(folder)).signatures["serving_default"](**{k: tf.constant(v) for k, v in x.items()})
    np.testing.assert_allclose(served["heatmap_scan_conv"], want, atol=1e-4)
    vc.export_tflite(explained, tmp_path / "m.tflite", representative_data=x)


def test_overlays_show_the_image_of_the_layer_in_any_order() -> None:
    keras.utils.set_random_seed(0)
    model = scan_and_mask(True)
    dark, bright = np.zeros((1, 24, 24, 1), "float32"), np.ones((1, 24, 24, 1), "float32")
    for inputs in ({"scan": dark, "mask": bright}, {"mask": bright, "scan": dark}):
        overlay = vc.Overlay(alpha=0.0)
        outputs = vc.attach(model, ["scan_conv", "mask_conv"], render=overlay, pixels="0..1").predict(inputs, verbose=0)
        assert outputs["overlay_scan_conv"].max() == 0
        assert outputs["overlay_mask_conv"].min() == 255
