"""Maps of classes in a SavedModel, run by the TensorFlow C loader without Python's TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.model_kinds import images
from support.runtimes import assert_openvino_equals_keras, saved_model_cli, warmup_requests
from support.served_model import ServedModel, seeded_cnn

import visualcnn_tf as vc

METHODS = ["deviation", "gradcam", "reciprocam", vc.methods.ScoreCAM(max_channels=3)]
OPTIONS: dict[str, Any] = {"method": METHODS, "target": "input"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    explained = vc.attach(seeded_cnn(), "conv_b", **OPTIONS)
    folder = tmp_path_factory.mktemp("export") / "cnn"
    return explained, vc.export_saved_model(explained, folder, pixels="0..1", on_error="blank")


@pytest.fixture(scope="module")
def served(exported: tuple[Any, Path]) -> Iterator[ServedModel]:
    with ServedModel(exported[1]) as model:
        yield model


def assert_equal(got: dict[str, np.ndarray], want: dict[str, Any]) -> None:
    for key, value in want.items():
        np.testing.assert_allclose(got[key], np.asarray(value), atol=1e-5, err_msg=key)


@pytest.mark.slow
def test_the_chosen_class_is_explained(exported: tuple[Any, Path], served: ServedModel) -> None:
    explained, _ = exported
    x = np.repeat(images(1, 12, 12, 1), 7, 0)
    asked = np.array([0, 1, 2, 3, -1, 4, -2], np.int32)
    got = served.predict("serving_default", {"image": x, "class_index": asked})
    assert set(got) == set(explained.output_names)
    assert_equal(got, explained.predict({"image": x, "class_index": asked}, verbose=0))
    predicted = got["predictions"][0].argmax()
    np.testing.assert_array_equal(got["explained_class"], [0, 1, 2, 3, predicted, -1, -1])
    for method in map(vc.methods.get, METHODS[1:]):
        maps = got[f"heatmap_conv_b_{method.name}"]
        assert not maps[5:].any()
        np.testing.assert_allclose(maps[4], maps[predicted], atol=1e-6)
        assert all(np.abs(maps[a] - maps[b]).max() > 1e-3 for a in range(4) for b in range(a))
        for k in range(4):
            alone = vc.attach(explained.model, "conv_b", **{**OPTIONS, "method": method, "target": k})(x[:1])
            np.testing.assert_allclose(maps[k], alone["heatmap_conv_b"][0], atol=1e-5, err_msg=repr(method))
    deviation = got["heatmap_conv_b_deviation"]
    assert deviation.any()
    np.testing.assert_allclose(deviation, np.repeat(deviation[:1], 7, 0), atol=1e-6)  # whatever class is asked for


def test_an_empty_batch_has_empty_outputs(exported: tuple[Any, Path], served: ServedModel) -> None:
    got = served.predict("serving_default", {"image": images(1, 12, 12, 1)[:0], "class_index": np.zeros(0, np.int32)})
    assert {key: value.shape for key, value in got.items()} == {
        spec.name: (0, *spec.shape[1:]) for spec in exported[0].plan.outputs
    }


def test_predictions_alone_need_no_class(exported: tuple[Any, Path], served: ServedModel) -> None:
    x = images(3, 12, 12, 1)
    assert list(served.signature("predict").inputs) == ["image"]
    assert_equal(served.predict("predict", {"image": x}), {"predictions": exported[0].model(x)})


def test_a_broken_image_gets_no_class_and_an_empty_map(exported: tuple[Any, Path], served: ServedModel) -> None:
    explained, _ = exported
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 1)).astype("uint8")
    picture = tf.io.encode_png(pixels).numpy()
    asked = np.array([2, 2, -1, 9], np.int32)
    feeds = {"image_bytes": np.array([picture, b"no image", picture, picture], object), "class_index": asked}
    got = served.predict("serving_bytes", feeds)
    np.testing.assert_array_equal(got.pop("valid"), [True, False, True, True])
    x = np.repeat(pixels[None] / np.float32(255), 4, 0)
    want = explained.predict({"image": x, "class_index": asked}, verbose=0)
    for value in want.values():
        value[1] = 0
    # A class that nobody could tell is none, not the first one.
    want["explained_class"][1] = -1
    assert_equal(got, want)


def test_warmup_requests_have_a_class_index(exported: tuple[Any, Path], served: ServedModel) -> None:
    requests = warmup_requests(exported[1])
    assert set(requests) == {"serving_default", "serving_bytes", "predict"}
    for name, request in requests.items():
        feeds = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
        assert set(feeds) == set(served.signature(name).inputs)
        assert ("class_index" in feeds) == (name != "predict")
        outputs = served.predict(name, feeds)
        assert all(len(value) == 2 for value in outputs.values())
        if name != "predict":
            assert set(outputs["explained_class"]) <= set(range(4))
            assert outputs["heatmap_conv_b_gradcam"].any()


@pytest.mark.slow
def test_the_command_line_shows_the_class_index(exported: tuple[Any, Path]) -> None:
    options = ["--tag_set", "serve", "--signature_def", "serving_default"]
    shown = saved_model_cli("show", "--dir", exported[1], *options)
    assert "inputs['class_index'] tensor_info:\n      dtype: DT_INT32\n      shape: (-1)" in shown
    assert "outputs['explained_class'] tensor_info:\n      dtype: DT_INT32\n      shape: (-1)" in shown
    assert "outputs['heatmap_conv_b_reciprocam']" in shown


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "reciprocam"])
def test_openvino_runs_it(method: str, tmp_path: Path) -> None:
    explained = vc.attach(seeded_cnn(), "conv_b", method=method)
    folder = vc.export_saved_model(explained, tmp_path / "m", signatures=["serving_default"])
    x = images(2, 12, 12, 1)
    assert_openvino_equals_keras(folder, explained, {"image": x}, x)
