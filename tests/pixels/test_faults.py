"""Ten ways in which tools fed a model other pixels than it takes, most of them silently: each has a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.trained import digits, digits_cnn

import visualcnn_tf as vc
from visualcnn_tf.cli import show as show_command
from visualcnn_tf.cli.main import main
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.export import saved_model
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.video.film import Film

L = keras.layers
RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 256, (3, 12, 12, 3)).astype(np.uint8)


@keras.saving.register_keras_serializable(package="test_faults")
class Bytes(L.Layer):
    """From bytes to 0 to 1, by operations."""

    def call(self, x: Any) -> Any:
        return tf.cast(x, tf.float32) / 255


def model_of(*before: Any, dtype: str = "float32", after: Any = None) -> keras.Model:
    keras.utils.set_random_seed(0)
    image = x = keras.Input((12, 12, 3), dtype=dtype, name="image")
    for step in before:
        x = step(x)
    x = L.Conv2D(4, 3, activation="relu", name="conv", kernel_initializer="he_normal")(x)
    x = L.Dense(3, name="head")(L.GlobalAveragePooling2D()(x))
    return keras.Model(image, x if after is None else after(x))


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """From a model to what ``visualcnn show`` predicts for the photos."""
    drawn: list[Any] = []
    explain_photos = show_command.explain_photos

    def record(*args: Any, **options: Any) -> Any:
        pages = explain_photos(*args, **options)
        drawn.append(np.stack([photo.outputs["predictions"] for photo in pages.photos()]))
        return pages

    monkeypatch.setattr(show_command, "explain_photos", record)

    def show(model: keras.Model, *words: str) -> np.ndarray:
        model.save(tmp_path / "model.keras")
        files = [tmp_path / f"{number}.png" for number in range(len(PHOTOS))]
        for file, photo in zip(files, PHOTOS, strict=True):
            file.write_bytes(tf.io.encode_png(photo).numpy())
        words = (*words, "--layers", "last", "-o", str(tmp_path / "out.png"))
        assert main(["show", str(tmp_path / "model.keras"), *map(str, files), *words]) == 0
        return drawn[-1]

    return show


def assert_predicts(got: np.ndarray, model: keras.Model, inputs: Any) -> None:
    want = np.asarray(model(inputs, training=False))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    assert np.ptp(want, axis=0).max() > 1e-3  # photos that all look alike to the model would tell nothing


def test_1_show_fed_0_to_1_to_a_model_with_preprocess_input_inside(shown: Any) -> None:
    model = model_of(keras.applications.resnet.preprocess_input)
    assert_predicts(shown(model), model, PHOTOS.astype(np.float32))


@pytest.mark.slow
def test_2_int8_files_were_calibrated_on_0_to_255_for_a_model_of_0_to_1(tmp_path: Path) -> None:
    images, labels = digits().test_images, digits().test_labels
    digits_cnn().save(tmp_path / "digits.keras")
    (tmp_path / "digits").mkdir()
    for number, image in enumerate(images[:100]):
        content = tf.io.encode_png(np.round(255 * image).astype(np.uint8)).numpy()
        (tmp_path / "digits" / f"{number}.png").write_bytes(content)
    words = ["--quantize", "int8", "--calibrate", str(tmp_path / "digits"), "--tflite", str(tmp_path / "m.tflite")]
    assert main(["export", str(tmp_path / "digits.keras"), "--layers", "last", *words]) == 0
    run = interpreter((tmp_path / "m.tflite").read_bytes()).get_signature_runner("predict")
    [name] = run.get_input_details()
    found = np.array([run(**{name: image[np.newaxis]})["predictions"].argmax() for image in images])
    exact = digits_cnn().predict(images, verbose=0).argmax(1) == labels
    assert np.mean(found == labels) > np.mean(exact) - 0.02 > 0.9


def test_3_show_fed_0_to_255_to_a_model_that_rescales_from_0_to_1(shown: Any) -> None:
    for layer in (L.Rescaling(2, -1), L.Normalization(mean=0.13, variance=0.09)):
        model = model_of(layer)
        assert_predicts(shown(model), model, PHOTOS / np.float32(255))


def test_4_a_rescaling_behind_the_network_was_taken_for_preprocessing(shown: Any) -> None:
    model = model_of(after=L.Rescaling(10.0))
    assert_predicts(shown(model), model, PHOTOS / np.float32(255))


def test_5_a_model_of_bytes_was_fed_zeros_by_show_and_by_noise(shown: Any, tmp_path: Path, monkeypatch: Any) -> None:
    model = model_of(Bytes(), dtype="uint8")
    assert_predicts(shown(model), model, PHOTOS)
    compared: dict[str, Any] = {}
    monkeypatch.setattr(saved_model, "verify_saved_model", lambda *given: compared.update(given[3]))
    vc.export_saved_model(vc.attach(model, "last"), tmp_path / "m", warmup=False)
    for name in ("serving_default", "predict"):
        assert np.ptp(compared[name].arrays["image"]) > 200


def test_6_served_pixels_of_bytes_were_cut_off_instead_of_rounded(tmp_path: Path) -> None:
    image = keras.Input((6, 6, 3), dtype="uint8", name="image")
    same = L.Conv2D(3, 1, use_bias=False, name="same")
    model = keras.Model(image, L.Flatten()(same(L.Rescaling(1.0)(image))))
    same.kernel.assign(np.eye(3)[None, None])
    folder = vc.export_saved_model(vc.attach(model, "last"), tmp_path / "m", warmup=False)
    run = tf.saved_model.load(str(folder)).signatures["serving_bytes"]
    got = run(image_bytes=tf.stack([tf.io.encode_png(PHOTOS[0])]))["predictions"]
    want = np.round(tf.image.resize(PHOTOS[:1].astype(np.float32), (6, 6), antialias=True)).reshape(1, -1)
    np.testing.assert_allclose(got, want, atol=1e-3)


def test_7_exports_were_compared_on_images_that_are_all_but_black(tmp_path: Path, monkeypatch: Any) -> None:
    compared: dict[str, Any] = {}
    monkeypatch.setattr(saved_model, "verify_saved_model", lambda *given: compared.update(given[3]))
    explained = vc.attach(model_of(L.Rescaling(1 / 255)), "last")
    vc.export_saved_model(explained, tmp_path / "m", warmup=False)
    assert compared["serving_default"].arrays["image"].max() > 200


@pytest.mark.parametrize("values", ["0..255", "-1..1", "caffe", "torch"])
def test_8_overlays_were_washed_out(values: str) -> None:
    pixels = vc.Pixels(values)
    explained = vc.attach(model_of(), "last", render=vc.Overlay(alpha=0), pixels=pixels)
    np.testing.assert_allclose(explained(pixels.scale(PHOTOS))["overlay_conv"], PHOTOS, atol=1)
    in_graph = tf.function(explained)(pixels.scale(PHOTOS))["overlay_conv"]
    np.testing.assert_allclose(in_graph, PHOTOS, atol=1)


def test_9_small_frames_of_films_were_enlarged_in_another_way_than_photos() -> None:
    explained = vc.attach(model_of(), "last", size=None, normalize=None, pixels="0..1")
    small = PHOTOS[0, :6, :6]
    [(_, maps)] = Film(explained, small.shape).maps([small])
    want = explained(tf.image.resize(small / np.float32(255), (12, 12), antialias=True)[np.newaxis])["heatmap_conv"]
    np.testing.assert_allclose(maps, want, atol=1e-5)


def test_10_data_of_another_range_went_unnoticed(tmp_path: Path) -> None:
    of_unit, of_bytes = vc.attach(model_of(), pixels="0..1"), vc.attach(model_of(L.Rescaling(1 / 255)))
    data = PHOTOS.astype(np.float32)
    for export, name in ((vc.export_tflite, "m.tflite"), (vc.export_saved_model, "m")):
        with pytest.raises(InvalidArgumentError, match=r"`representative_data` must be of values from 0 to 1\. "):
            export(of_unit, tmp_path / name, representative_data=data)
        with pytest.raises(InvalidArgumentError, match="`representative_data` must be images from 0 to 255, which"):
            export(of_bytes, tmp_path / name, representative_data=data / 255)
    assert not list(tmp_path.iterdir())


def test_and_what_a_saved_explained_model_knew_was_forgotten(shown: Any) -> None:
    model = model_of()
    assert_predicts(shown(vc.attach(model, pixels="caffe")), model, vc.Pixels("caffe").scale(PHOTOS))
    assert_predicts(shown(vc.attach(model, pixels="caffe"), "--pixels", "-1..1"), model, PHOTOS / np.float32(127.5) - 1)
