"""The same photo gives the same prediction everywhere, whatever pixels a model takes.

The oracle is the bare model's ``predict`` on what is preprocessed by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from visualcnn_tf.cli import show as show_command
from visualcnn_tf.cli.main import main
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.video.film import Film
from visualcnn_tf.video.heatmap_video import _explained

L, applications = keras.layers, keras.applications
SIZE = 12
PHOTO = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
GRAY = PHOTO[..., :1]


@keras.saving.register_keras_serializable(package="test_everywhere")
class ByHand(L.Layer):
    """TensorFlow operations instead of layers."""

    def call(self, x: Any) -> Any:
        return tf.cast(x, tf.float32) / 255


@keras.saving.register_keras_serializable(package="test_everywhere")
class Task(keras.Model):
    """Preprocesses in ``predict``, as the tasks of ``keras_hub`` do."""

    def __init__(self, **kwargs: Any) -> None:
        image = keras.Input((SIZE, SIZE, 3), name="image")
        super().__init__(image, network(image), **kwargs)
        self.preprocessor = L.Rescaling(1 / 127.5, -1)

    def preprocess_samples(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return keras.utils.pack_x_y_sample_weight(self.preprocessor(x), y, sample_weight)

    def predict(self, x: Any, **kwargs: Any) -> Any:
        return super().predict(self.preprocessor(x), **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Task:
        return cls(**config)


def network(x: Any) -> Any:
    x = L.Conv2D(4, 3, activation="relu", name="conv", kernel_initializer="he_normal")(x)
    return L.Dense(3, activation="softmax", name="head")(L.GlobalAveragePooling2D()(x))


def model_of(*before: Callable[[Any], Any], channels: int = 3, dtype: str = "float32") -> keras.Model:
    image = x = keras.Input((SIZE, SIZE, channels), dtype=dtype, name="image")
    for step in before:
        x = step(x)
    return keras.Model(image, network(x))


def backbone() -> keras.Model:
    """The end of an application inside of a model, whose name alone tells what it takes."""
    inner = keras.Input((SIZE, SIZE, 3))
    features = keras.Model(inner, L.Conv2D(4, 3, name="inner")(inner), name="mobilenetv2_1.00_224")
    image = keras.Input((SIZE, SIZE, 3), name="image")
    return keras.Model(image, network(features(image)))


@dataclass(frozen=True)
class Way:
    """A way in which models take pixels.

    Attributes:
        build: makes the model.
        by_hand: from a photo to what the model takes.
        values: what it takes, by name.
        says: whether that is found in the model.
    """

    build: Callable[[], keras.Model]
    by_hand: Callable[[Any], Any]
    values: str
    says: bool = True


def same(photo: Any) -> Any:
    return photo


def statistics(x: Any) -> Any:
    return L.Normalization(mean=[0.48, 0.45, 0.4], variance=[0.05, 0.06, 0.05])(x)


WAYS = {
    "bare 0..1": Way(model_of, lambda x: x / 255, "0..1", says=False),
    "0..255, rescaled": Way(lambda: model_of(L.Rescaling(1 / 255)), same, "0..255"),
    "0..255, rescaled to -1..1": Way(lambda: model_of(L.Rescaling(1 / 127.5, -1)), same, "0..255"),
    "0..1, rescaled to -1..1": Way(lambda: model_of(L.Rescaling(2, -1)), lambda x: x / 255, "0..1"),
    "statistics": Way(lambda: model_of(statistics), lambda x: x / 255, "0..1"),
    "caffe inside": Way(lambda: model_of(applications.vgg16.preprocess_input), same, "0..255"),
    "tf inside": Way(lambda: model_of(applications.mobilenet_v2.preprocess_input), same, "0..255"),
    "torch inside": Way(lambda: model_of(applications.densenet.preprocess_input), same, "0..255"),
    "a task": Way(Task, lambda x: x / 127.5 - 1, "-1..1"),
    "bytes": Way(lambda: model_of(ByHand(), dtype="uint8"), same, "0..255"),
    "a backbone": Way(backbone, lambda x: x / 127.5 - 1, "-1..1", says=False),
    "a custom layer": Way(lambda: model_of(ByHand()), same, "0..255"),
    "gray": Way(lambda: model_of(L.Rescaling(1 / 255), channels=1), same, "0..255"),
}


@dataclass(frozen=True, eq=False)
class Case:
    """A model in its ways, a photo, and the prediction that all tools have to make for it."""

    way: Way
    model: keras.Model
    folder: Path
    photo: np.ndarray
    input: np.ndarray
    prediction: np.ndarray

    def check(self, prediction: Any) -> None:
        np.testing.assert_allclose(np.asarray(prediction)[0], self.prediction, rtol=0, atol=1e-5)

    def explained(self, **options: Any) -> vc.ExplainedModel:
        """The explained model; what it does not say about its pixels is given."""
        return vc.attach(self.model, "last", pixels=None if self.way.says else self.way.values, **options)


@pytest.fixture(scope="module", params=WAYS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    way = WAYS[request.param]
    keras.utils.set_random_seed(0)
    model = way.build()
    photo = GRAY if model.input_shape[-1] == 1 else PHOTO
    folder = tmp_path_factory.mktemp("way")
    (folder / "photos").mkdir()
    (folder / "photos" / "photo.png").write_bytes(tf.io.encode_png(photo).numpy())
    model.save(folder / "model.keras")
    by_hand = np.asarray(way.by_hand(photo[np.newaxis].astype(model.input.dtype)))
    return Case(way, model, folder, photo, by_hand, model(by_hand, training=False).numpy()[0])


def test_what_is_known(case: Case) -> None:
    known = vc.attach(case.model, "last").pixels
    assert (None if known is None else known.values) == (case.way.values if case.way.says else None)


def test_a_call_on_scaled_photos(case: Case) -> None:
    explained = case.explained()
    case.check(explained(explained.pixels.scale(case.photo[np.newaxis], case.model.input.dtype))["predictions"])


def test_a_saved_model_knows(case: Case, tmp_path: Path) -> None:
    case.explained().save(tmp_path / "m.keras")
    assert keras.models.load_model(tmp_path / "m.keras").pixels.values == case.way.values


def test_overlays_show_the_photo(case: Case) -> None:
    explained = case.explained(render=vc.Overlay(alpha=0))
    picture = explained(case.input)["overlay_conv"][0]
    np.testing.assert_allclose(picture, np.broadcast_to(case.photo, (SIZE, SIZE, 3)), atol=1)


def test_show(case: Case, monkeypatch: Any, capsys: Any) -> None:
    drawn: list[Any] = []

    def record(*args: Any, **options: Any) -> Any:
        pages = explain_photos(*args, **options)
        drawn.append(np.stack([photo.outputs["predictions"] for photo in pages.photos()]))
        return pages

    explain_photos = show_command.explain_photos
    monkeypatch.setattr(show_command, "explain_photos", record)
    words = ["show", str(case.folder / "model.keras"), str(case.folder / "photos" / "photo.png")]
    assert main([*words, "--layers", "last", "-o", str(case.folder / "out.png")]) == 0
    case.check(drawn[0])
    said = capsys.readouterr().out
    assert f"Pixels: {case.way.values}, {'found in the model' if case.way.says else 'assumed'}" in said


def test_a_film(case: Case) -> None:
    explained = _explained(case.model, "last", "deviation", None if case.way.says else case.way.values)
    frame = np.broadcast_to(case.photo, (SIZE, SIZE, 3))
    [(_, maps)] = Film(explained, frame.shape).maps([frame])
    np.testing.assert_allclose(maps, explained(case.input)[explained.heatmap_names[0]], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_exported_files(case: Case) -> None:
    words = ["export", str(case.folder / "model.keras"), "--layers", "last"]
    target = case.folder / "m.tflite"
    assert main([*words, "--saved-model", str(case.folder / "m"), "--tflite", str(target)]) == 0
    folder = case.folder / "m" / "1"
    served = tf.saved_model.load(str(folder)).signatures
    encoded = (case.folder / "photos" / "photo.png").read_bytes()
    case.check(served["serving_bytes"](image_bytes=tf.constant([encoded]))["predictions"])
    for path in (folder, target):
        pixels = vc.read_pixels(path)
        assert pixels.values == case.way.values
        images = pixels.scale(case.photo[np.newaxis], case.model.input.dtype)
        np.testing.assert_allclose(images, case.input, atol=1e-4)
    runner = interpreter(target.read_bytes()).get_signature_runner("serving_default")
    case.check(runner(image=images.numpy())["predictions"])


@pytest.mark.slow
def test_int8_is_calibrated_on_what_the_model_takes(case: Case, monkeypatch: Any) -> None:
    from visualcnn_tf.cli import export as export_command

    calibrated: list[Any] = []
    monkeypatch.setattr(
        export_command, "export_tflite", lambda *_, representative_data, **__: calibrated.append(representative_data[0])
    )
    words = [
        "export",
        str(case.folder / "model.keras"),
        "--quantize",
        "int8",
        "--calibrate",
        str(case.folder / "photos"),
    ]
    assert main([*words, "--tflite", str(case.folder / "int8.tflite")]) == 0
    np.testing.assert_allclose(calibrated[0], case.input, atol=1e-4)


def test_the_callback_draws_the_photo(case: Case) -> None:
    callback = vc.HeatmapCallback(case.input, log_dir="logs", pixels=None if case.way.says else case.way.values)
    callback._find_photos(case.explained())
    np.testing.assert_allclose(callback._photos[0], case.photo, atol=0.01)


def test_the_visualizer_draws_the_photo(case: Case, monkeypatch: Any) -> None:
    from visualcnn_tf.compat import visualizer as module

    shown: list[Any] = []
    monkeypatch.setattr(module, "show", lambda tiles, *_: shown.extend(tiles))
    visualizer = vc.Visualizer(case.model, small_layers=True, pixels=None if case.way.says else case.way.values)
    monkeypatch.setattr(module, "pick_blur", lambda levels, heatmaps, dtype: tf.cast(levels[..., -1], dtype))
    visualizer.blurmap(case.input)
    visualizer.show_blurmap()
    np.testing.assert_allclose(shown[0].picture, np.broadcast_to(case.photo, (SIZE, SIZE, 3)), atol=1)
