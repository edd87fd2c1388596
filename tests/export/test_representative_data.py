"""A written SavedModel is compared with the model on the user's own inputs, if there are any."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.model_kinds import KINDS, images, small_cnn_layers

import visualcnn_tf as vc
from visualcnn_tf.errors import ExportVerificationError, InputShapeError
from visualcnn_tf.export import saved_model, saved_model_verification
from visualcnn_tf.pixels.names import VALUES


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, np.ndarray]]:
    """The inputs on which the next export runs its signatures, by the names of these."""
    found: dict[str, dict[str, np.ndarray]] = {}

    def recording(folder: Path, model: Any, functions: Any, examples: Any, *others: Any) -> None:
        found.update({name: each.arrays for name, each in examples.items()})
        saved_model_verification.verify_saved_model(folder, model, functions, examples, *others)

    monkeypatch.setattr(saved_model, "verify_saved_model", recording)
    return found


@pytest.fixture(scope="module")
def cnn() -> Any:
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input((12, 12, 3), name="image"), *small_cnn_layers()], name="cnn")


@pytest.mark.slow
def test_every_signature_is_compared_on_the_first_examples(cnn: Any, tmp_path: Path, tried: Any) -> None:
    explained = vc.attach(cnn, "conv", method="gradcam", target="input")
    x = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3)).astype(np.float32) / 255
    vc.export_saved_model(explained, tmp_path / "m", pixels="0..1", representative_data=iter(x), max_examples=3)
    assert list(tried) == ["serving_default", "serving_bytes", "predict"]
    for name in ("serving_default", "predict"):
        np.testing.assert_array_equal(tried[name]["image"], x[:3])
    pictures = [tf.io.decode_png(one).numpy() for one in tried["serving_bytes"]["image_bytes"]]
    assert [picture.shape for picture in pictures] == [(12, 12, 3), (15, 18, 3), (15, 18, 3)]
    for picture, image in zip(pictures, x, strict=False):
        np.testing.assert_array_equal(picture[:12, :12], np.round(255 * image))
    for name in ("serving_default", "serving_bytes"):
        np.testing.assert_array_equal(tried[name]["class_index"], [-1] * 3)
    assert list(tried["predict"]) == ["image"]


@pytest.mark.slow
def test_noise_is_used_where_a_function_cannot_be_inverted(cnn: Any, tmp_path: Path, tried: Any) -> None:
    vc.export_saved_model(
        vc.attach(cnn), tmp_path / "m", pixels=lambda x: x / 255, representative_data=[images(2, 12, 12, 3)]
    )
    shapes = [tf.io.decode_png(one).shape for one in tried["serving_bytes"]["image_bytes"]]
    assert shapes == [(12, 12, 3), (15, 18, 3)]


@pytest.mark.parametrize("values", VALUES)
def test_pixels_are_recovered_from_preprocessed_images(values: str) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype(np.uint8)
    pixels = vc.Pixels(values)
    np.testing.assert_array_equal(saved_model._as_bytes(pixels.unscale(pixels.scale(photos))), photos)


def test_several_inputs_are_matched_by_name(tmp_path: Path, tried: Any) -> None:
    left, right = (keras.Input((6, 6, 1), name=name) for name in ("left", "right"))
    shared = L.Conv2D(3, 3, name="conv")
    both = L.Concatenate()([L.GlobalAveragePooling2D()(shared(one)) for one in (left, right)])
    model = keras.Model([left, right], L.Dense(2)(both))
    data = {"right": images(3, 6, 6, 1), "left": 2 * images(3, 6, 6, 1)}
    vc.export_saved_model(vc.attach(model, "conv"), tmp_path / "m", representative_data=[data])
    for name, inputs in tried.items():
        assert list(inputs) == ["left", "right"], name
        np.testing.assert_array_equal(inputs["left"], data["left"])


def test_examples_may_have_any_size_where_it_is_open_but_only_one(tmp_path: Path, tried: Any) -> None:
    explained = vc.attach(KINDS["unknown_height_and_width"]().model)
    vc.export_saved_model(explained, tmp_path / "m", representative_data=images(3, 15, 22, 2))
    assert tried["predict"].popitem()[1].shape == (3, 15, 22, 2)
    unlike = [images(1, 15, 22, 2), images(1, 16, 22, 2)]
    with pytest.raises(InputShapeError, match=r"of one size for .* Received: \(15, 22, 2\), \(16, 22, 2\). Resize"):
        vc.export_saved_model(explained, tmp_path / "n", representative_data=unlike)
    assert not (tmp_path / "n").exists()


def test_no_more_examples_are_read_than_are_compared(cnn: Any, tmp_path: Path, tried: Any) -> None:
    x = images(3, 12, 12, 3)
    data = iter([x[:0], x[:1], x[1:], x * np.nan])
    vc.export_saved_model(vc.attach(cnn), tmp_path / "m", representative_data=data, max_examples=2)
    np.testing.assert_array_equal(tried["predict"]["image"], x[:2])
    assert np.isnan(next(data)).all()


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("count", [1, 4])
def test_examples_fill_a_fixed_batch(tmp_path: Path, tried: Any, count: int) -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((12, 12, 3), batch_size=count, name="image"), *small_cnn_layers()])
    explained = vc.attach(model, "conv", method="gradcam", target="input")
    for data in (None, images(1, 12, 12, 3)):
        vc.export_saved_model(explained, tmp_path / "m", overwrite=True, representative_data=data)
        lengths = {len(array) for arrays in tried.values() for array in arrays.values()}
        assert lengths == {count if data is None else 1}


def test_no_example_is_stored_in_the_saved_model(cnn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_warmup(folder: Path, model_name: str, examples: Any) -> None:  # without the package that it needs
        arrays = [np.asarray(array) for inputs in examples.values() for array in inputs.values()]
        (folder / "warmup").write_bytes(b"".join(array.tobytes() for array in arrays))

    monkeypatch.setattr(saved_model, "write_warmup", write_warmup)
    x = np.full((2, 12, 12, 3), 0.7071, np.float32)
    folder = vc.export_saved_model(vc.attach(cnn), tmp_path / "m", representative_data=[x])
    held = [file for file in folder.rglob("*") if file.is_file() and x[0, 0].tobytes() in file.read_bytes()]
    assert held == []


@pytest.mark.slow
def test_encoded_images_may_differ_by_rounding_once_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that amplifies the last bit of its input does so for encoded images on a server, too."""
    image = keras.Input((8, 8, 3), name="image")
    steep = L.Lambda(lambda x: keras.ops.sin(1e5 * x), name="steep")(image)
    model = keras.Model(image, L.GlobalAveragePooling2D()(steep))
    session = saved_model_verification._session

    @contextmanager
    def rounded(folder: Path, name: str) -> Any:
        with session(folder, name) as run:
            yield lambda signature, feed: pictured(feed) if signature == "serving_bytes" else run(signature, feed)

    def pictured(feed: dict[str, Any]) -> dict[str, Any]:
        pictures = [tf.cast(tf.io.decode_png(one), tf.float32) for one in feed["image_bytes"]]
        pixels = tf.stack([tf.image.resize(picture, (8, 8), antialias=True) for picture in pictures])
        return {"predictions": model(pixels / 255 * (1 + factor)).numpy()}

    monkeypatch.setattr(saved_model_verification, "_session", rounded)
    x = np.random.default_rng(0).random((2, 8, 8, 3)).astype(np.float32)
    factor = 2.0**-22
    vc.export_saved_model(model, tmp_path / "m", pixels="0..1", representative_data=x)
    factor = 2.0**-15
    with pytest.raises(ExportVerificationError, match="'serving_bytes', output 'predictions'"):
        vc.export_saved_model(model, tmp_path / "n", pixels="0..1", representative_data=x)
