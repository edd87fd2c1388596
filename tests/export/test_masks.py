"""Files of segmentation models: the inputs of a mask in each signature, replays, integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.masks import SPACE, segmenter
from support.masks import X as CANVAS
from support.model_kinds import images
from support.served_model import ServedModel

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.export.examples import png_files
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.targets import Mask
from visualcnn_tf.web.model_file import check_model_file

REGION = np.random.default_rng(0).random((4, *SPACE)).astype(np.float32).round()
REGION[1] = -1


@pytest.fixture(scope="module")
def model() -> Any:
    return segmenter(activation="softmax")


def test_encoded_images_with_a_region_and_a_class(tmp_path: Path) -> None:
    gray = segmenter(activation="softmax", channels=1)
    explained = vc.attach(gray, "maps", method="gradcam", target=Mask("input", region="input"), pixels="0..1")
    photos = np.random.default_rng(0).integers(0, 256, (4, *SPACE, 1)).astype(np.uint8)
    folder = vc.export_saved_model(explained, tmp_path / "m", representative_data=photos / 255.0)
    asked = {"class_index": np.array([2, 0, -1, 1], np.int32), "region": REGION}
    with ServedModel(folder) as served:
        answers = served.predict("serving_bytes", {"image_bytes": unfitted(photos), **asked})
        assert set(served.predict("predict", {"image": (photos / 255).astype("f4")})) == {"predictions"}
    for key, value in explained({"image": photos / 255.0, **asked}).items():
        np.testing.assert_allclose(answers[key], value, atol=1e-5, err_msg=key)


def unfitted(photos: np.ndarray) -> np.ndarray:
    return np.array([png_files(photos[i : i + 1])[0] for i in range(len(photos))], object)


@pytest.mark.parametrize(
    "method", ["reciprocam", pytest.param(vc.methods.AblationCAM(max_channels=3), marks=pytest.mark.slow)], ids=str
)
def test_a_replay_in_tensorflow_lite(model: Any, method: Any, tmp_path: Path) -> None:
    explained = vc.attach(segmenter(activation="softmax", strides=2), "maps", method=method, target="top2")
    report = vc.export_tflite(explained, tmp_path / "m.tflite")
    assert report.builtin_only
    runner = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")
    for image in CANVAS[:2]:
        for key, value in explained(image[np.newaxis]).items():
            np.testing.assert_allclose(runner(image=image[np.newaxis])[key], value, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("io_dtype", [pytest.param("float32", marks=pytest.mark.slow), "int8"])
def test_integers_take_regions(model: Any, io_dtype: str, tmp_path: Path) -> None:
    explained = vc.attach(model, "maps", method="gradcam", target=Mask("input", region="input"))
    data = images(60, *SPACE, 2)
    report = vc.export_tflite(
        explained, tmp_path / "m.tflite", quantize="int8", representative_data=data, io_dtype=io_dtype
    )
    runner = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")
    details = {**runner.get_input_details(), **runner.get_output_details()}
    for b in range(4):
        given = {"image": CANVAS[b : b + 1], "class_index": np.array([1], np.int32), "region": REGION[b : b + 1]}
        answer = runner(**{name: quantized(value, details[name]) for name, value in given.items()})
        scale, zero = details["heatmap_maps"]["quantization"]
        heatmap = answer["heatmap_maps"].astype(float)
        heatmap = (heatmap - zero) * scale if scale else heatmap
        want = explained(given)["heatmap_maps"].numpy()
        assert np.corrcoef(heatmap.ravel(), want.ravel())[0, 1] > 0.95


def quantized(value: np.ndarray, details: Any) -> np.ndarray:
    scale, zero = details["quantization"]
    if not scale or details["dtype"] == value.dtype:
        return value
    return np.clip(np.round(value / scale) + zero, -128, 127).astype(details["dtype"])


def test_the_page_refuses_a_file_that_asks_for_a_region(model: Any, tmp_path: Path) -> None:
    gray = segmenter(activation="softmax", channels=1)
    paths = [tmp_path / "region.tflite", tmp_path / "class.tflite"]
    for target, path in zip((Mask(1, region="input"), "input"), paths, strict=True):
        vc.export_tflite(vc.attach(gray, "maps", method="gradcam", target=target), path, verify=False)
    with pytest.raises(InvalidArgumentError, match="It asks for 'region' with each image"):
        check_model_file(paths[0])
    check_model_file(paths[1])
