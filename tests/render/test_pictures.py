"""Pictures as outputs of the model: equal to the same blend in NumPy, in every runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.served_model import ServedModel, seeded_cnn

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.export.tflite_interpreter import interpreter

IMAGES = np.random.default_rng(0).uniform(size=(3, 12, 12, 1)).astype("float32")
OVERLAYS = {"overlay_conv_a": "heatmap_conv_a", "overlay_pool": "heatmap_pool", "overlay_conv_b": "heatmap_conv_b"}


@pytest.fixture(scope="module")
def explained() -> Any:
    return vc.attach(seeded_cnn(), method="gradcam", combine="mean", render="overlay", pixels="0..1")


def blended(images: np.ndarray, heatmap: Any, alpha: float = 0.5, colormap: str = "turbo") -> np.ndarray:
    """The blend in NumPy with matplotlib's colors, before rounding; the nearest of 256 is that of float32."""
    nearest = np.round(np.float32(255) * np.asarray(heatmap, np.float32)).astype(int)
    colors = 255 * matplotlib.colormaps[colormap](nearest)[..., :3]
    pixels = 255 * np.broadcast_to(images.astype(np.float64), colors.shape)
    return (1 - alpha) * pixels + alpha * colors


def check(outputs: dict[str, Any], images: np.ndarray = IMAGES, **options: Any) -> None:
    """Every pixel is that of the blend within one level."""
    for name, heatmap in {**OVERLAYS, "overlay": "heatmap"}.items():
        picture = np.asarray(outputs[name])
        assert picture.dtype == np.uint8
        assert np.abs(picture - blended(images, outputs[heatmap], **options)).max() <= 1, name


def test_names_shapes_and_order(explained: Any) -> None:
    assert explained.overlay_names == [*OVERLAYS, "overlay"]
    assert explained.output_names[-4:] == explained.overlay_names
    assert explained.heatmap_names == [*OVERLAYS.values(), "heatmap"]
    assert explained.prediction_names == ["predictions"]
    outputs = explained.predict(IMAGES, verbose=0)
    for name, spec in zip(explained.output_names, explained.outputs, strict=True):
        assert outputs[name].shape == (3, *spec.shape[1:])
        assert outputs[name].dtype == spec.dtype


def test_equal_to_numpy_in_every_way_to_run(explained: Any) -> None:
    check(explained(IMAGES))
    check(explained.predict(IMAGES, verbose=0))
    check(tf.function(explained, autograph=False)(IMAGES))
    check(tf.function(explained, jit_compile=True, autograph=False)(IMAGES))


def test_equal_to_numpy_in_litert(explained: Any, tmp_path: Path) -> None:
    vc.export_tflite(explained, tmp_path / "m.tflite", batch_size=3)
    check(interpreter((tmp_path / "m.tflite").read_bytes()).get_signature_runner("serving_default")(image=IMAGES))


@pytest.mark.slow
def test_equal_to_numpy_in_the_c_loader_and_in_png_files(explained: Any, tmp_path: Path) -> None:
    folder = vc.export_saved_model(explained, tmp_path / "m", png=True, pixels="0..1")
    pixels = np.round(255 * IMAGES).astype(np.uint8)
    files = np.array([tf.io.encode_png(image).numpy() for image in pixels], object)
    with ServedModel(folder) as served:
        check(served.predict("serving_default", {"image": IMAGES}))
        answer = served.predict("serving_bytes", {"image_bytes": files})
    assert not set(answer) & set(explained.overlay_names)
    decoded = {
        name: np.stack([tf.io.decode_png(file).numpy() for file in answer[f"{name}_png_bytes"]])
        for name in explained.overlay_names
    }
    check({**answer, **decoded}, pixels / 255)


@pytest.mark.slow
def test_png_of_an_image_that_cannot_be_read_is_black(explained: Any, tmp_path: Path) -> None:
    folder = vc.export_saved_model(explained, tmp_path / "m", png=True, pixels="0..1", on_error="blank")
    good = tf.io.encode_png(np.full((12, 12, 1), 128, np.uint8)).numpy()
    with ServedModel(folder) as served:
        answer = served.predict("serving_bytes", {"image_bytes": np.array([good, b"no image"], object)})
    pictures = [tf.io.decode_png(file).numpy() for file in answer["overlay_png_bytes"]]
    assert pictures[0].max() > 0
    assert pictures[1].max() == 0
    assert answer["valid"].tolist() == [True, False]


def test_a_layer_sets_colors_and_opacity(tmp_path: Path) -> None:
    overlay = vc.Overlay(0.25, "viridis")
    explained = vc.attach(seeded_cnn(), combine="max", render=overlay, method="mean", pixels="0..255")
    outputs = explained.predict(255 * IMAGES, verbose=0)
    check(outputs, alpha=0.25, colormap="viridis")
    explained.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras").predict(255 * IMAGES, verbose=0)
    for name, value in outputs.items():
        np.testing.assert_array_equal(again[name], value)


def test_uint8_heatmaps_and_color_images() -> None:
    images = np.random.default_rng(1).uniform(size=(2, 12, 12, 3)).astype("float32")
    model = keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(4, 3, activation="relu", name="conv")])
    outputs = vc.attach(model, heatmap_dtype="uint8", render="overlay", pixels="0..1").predict(images, verbose=0)
    truth = blended(images, outputs["heatmap_conv"] / 255)
    # The heatmap was rounded before it is compared, and the colors were taken before.
    assert np.abs(outputs["overlay_conv"] - truth).mean() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"render": "color"}, "`render` must be None, 'overlay' or an `Overlay` layer. Received: 'color'"),
        ({"render": True}, "`render` must be"),
        ({"render": "overlay"}, "`pixels` must be given for overlays"),
        ({"render": "overlay", "pixels": tf.sqrt}, "`pixels` must be given for overlays, by name"),
        ({"render": vc.Overlay(value_range=(0, 255))}, "`render` must be an `Overlay` without `value_range`"),
        ({"render": "overlay", "size": None}, "`render` must be None unless `size` is 'input'"),
        ({"render": "overlay", "normalize": None}, "`render` must be None unless .* `normalize` is set"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        vc.attach(seeded_cnn(), **options)


def test_inputs_that_are_no_pictures_are_refused() -> None:
    model = keras.Sequential([keras.Input((12, 12, 5)), L.Conv2D(4, 3, name="conv")])
    with pytest.raises(InvalidArgumentError, match="'conv' sees an input of shape"):
        vc.attach(model, render="overlay")


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("method", ["deviation", "gradcam"])
@pytest.mark.parametrize("way", ["call", "predict", "tensor"])
def test_values_that_would_all_be_white_are_refused(method: str, way: str) -> None:
    explained = vc.attach(seeded_cnn(), method=method, render="overlay", pixels="0..1")
    run = {
        "call": explained,
        "predict": lambda images: explained.predict(images, verbose=0),
        "tensor": lambda images: explained(tf.constant(images)),
    }[way]
    message = r"^`image` must be of values from 0 to 1. Received: .* to 25\d.*attach with `pixels='0..255'`"
    with pytest.raises(InvalidArgumentError, match=message):
        run(255 * IMAGES)
    bytes_model = vc.attach(seeded_cnn(), method=method, render="overlay", pixels="0..255")
    assert bytes_model.predict(255 * IMAGES, verbose=0)["overlay_conv_a"].std() > 10


def test_a_nan_is_no_wrong_range(explained: Any) -> None:
    images = IMAGES.copy()
    images[0, 0, 0] = np.nan
    outputs = explained.predict(images, verbose=0)
    for name, picture in explained.predict(IMAGES, verbose=0).items():
        np.testing.assert_allclose(outputs[name][1:], picture[1:], atol=1e-6)


def test_png_needs_pictures(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`png` must be False without .*render='overlay'"):
        vc.export_saved_model(vc.attach(seeded_cnn()), tmp_path / "m", pixels="0..1", png=True)
    assert not (tmp_path / "m").exists()
