"""The web page in headless Chromium, with the model of the demo."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

import visualcnn_tf as vc
from visualcnn_tf.data.digits import load_digits, train_cnn
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.web.files import routes
from visualcnn_tf.web.server import make_server

pytestmark = [pytest.mark.slow, pytest.mark.browser]

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "web"
MODULES = EXAMPLE / "node_modules"
TOLERANCE = 1e-4


def missing(what: str) -> NoReturn:
    """Skip the tests, or fail where ``VISUALCNN_BROWSER=required`` says that all is there."""
    outcome = pytest.fail if os.environ.get("VISUALCNN_BROWSER") == "required" else pytest.skip
    outcome(f"THE WEB PAGE IS NOT TESTED: {what} (see {EXAMPLE}/README.md)")


def program(name: str) -> str:
    return shutil.which(name) or missing(f"no program {name!r}")


@pytest.fixture(scope="module")
def digits() -> Any:
    return load_digits()


@pytest.fixture(scope="module")
def explained(digits: Any) -> vc.ExplainedModel:
    model = train_cnn(digits, seed=0)
    return vc.attach(model, layers=["conv2", "conv3"], method=["deviation", "gradcam"], target="input")


@pytest.fixture(scope="module")
def image(digits: Any) -> Any:
    """A digit as a PNG file holds it, in uint8."""
    return np.round(digits.test_images[0] * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def model_file(explained: vc.ExplainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "digits.tflite"
    vc.export_tflite(explained, path)
    return path


@pytest.fixture(scope="module")
def report(
    model_file: Path, explained: vc.ExplainedModel, image: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The report of a visit to the page."""
    node, chromium = program("node"), program("chromium")
    if not (MODULES / "playwright-core").is_dir():
        missing(f"npm's packages are not in {MODULES}, run `npm ci` in {EXAMPLE}")
    folder = tmp_path_factory.mktemp("visit")
    (folder / "digit.png").write_bytes(tf.io.encode_png(image).numpy())
    (folder / "no_image.png").write_bytes(b"no image")
    content = model_file.read_bytes()
    wrong = {"text": b"no model", "garbage": b"\x1c\0\0\0TFL3" + bytes(400), "half": content[: len(content) // 2]}
    for name, some in wrong.items():
        (folder / f"{name}.tflite").write_bytes(some)
    vc.export_tflite(explained.model, folder / "bare.tflite", verify=False)
    (folder / "other.tflite").write_bytes(another_model())
    with make_server(routes(model_file, MODULES)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            visit = {
                "url": f"http://127.0.0.1:{server.server_port}/",
                "modules": str(MODULES),
                "chromium": chromium,
                "image": str(folder / "digit.png"),
                "noImage": str(folder / "no_image.png"),
                "model": str(model_file),
                "noModels": [str(folder / f"{name}.tflite") for name in (*wrong, "bare", "other")],
                "photos": [str(photo) for photo in photos(folder)],
                "longNames": str(long_names(folder)),
                "shots": os.environ.get("VISUALCNN_SCREENSHOTS"),
            }
            done = subprocess.run(
                [node, str(HERE / "browser" / "visit.mjs"), json.dumps(visit)],
                capture_output=True,
                text=True,
                timeout=300,
            )
        finally:
            server.shutdown()
            thread.join()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def photos(folder: Path) -> list[Path]:
    """Write a gray photo as large as the model's input in every orientation that a camera may store it in."""
    x, y = np.meshgrid(np.linspace(0, 1, 28), np.linspace(0, 1, 28))
    stored = Image.fromarray(np.uint8(150 * x + 100 * y * y))
    paths = [folder / f"photo_{orientation}.jpg" for orientation in range(1, 9)]
    for orientation, path in enumerate(paths, 1):
        exif = Image.Exif()
        exif[0x112] = orientation
        stored.save(path, quality=100, exif=exif)
    return paths


def long_names(folder: Path) -> Path:
    """Export a model with layers inside two models, so that all names begin alike."""
    inner = keras.Sequential([keras.layers.Conv2D(2, 3, name=name) for name in ("stage_1", "stage_2")], name="encoder")
    outer = keras.Sequential([inner], name="a_backbone_with_a_long_name")
    pooled = keras.layers.GlobalAveragePooling2D()
    model = keras.Sequential([keras.Input((28, 28, 1), name="image"), outer, pooled, keras.layers.Dense(10)])
    vc.export_tflite(vc.attach(model), folder / "long_names.tflite")
    return folder / "long_names.tflite"


def another_model() -> bytes:
    """Return a TensorFlow Lite file without any signature."""
    double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([1, 28, 28, 1])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([double.get_concrete_function()], None)
    return converter.convert()


def in_python(model_file: Path, frame: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of LiteRT in Python for the input of a frame."""
    pixels = np.asarray(frame["input"], np.float32).reshape(1, 28, 28, 1)
    runner = interpreter(model_file.read_bytes()).get_signature_runner("serving_default")
    return runner(image=pixels, class_index=np.int32([frame["classIndex"]]))


def assert_same(frame: dict[str, Any], want: dict[str, Any]) -> None:
    assert set(frame["outputs"]) == set(want)
    for name, values in want.items():
        np.testing.assert_allclose(frame["outputs"][name], np.ravel(values), atol=TOLERANCE, rtol=0, err_msg=name)


def test_an_uploaded_image_is_read_exactly(report: dict[str, Any], image: Any):
    np.testing.assert_allclose(report["uploaded"]["input"], image.ravel() / 255, atol=1e-7, rtol=0)


def test_heatmaps_equal_those_of_keras(report: dict[str, Any], explained: vc.ExplainedModel, image: Any):
    frame = report["uploaded"]
    want = explained({"image": image[None] / np.float32(255), "class_index": np.int32([-1])})
    assert_same(frame, want)
    assert max(frame["outputs"]["heatmap_conv3_gradcam"]) > 0.9


def test_drawn_digits_give_the_same_outputs_as_in_python(report: dict[str, Any], model_file: Path):
    assert max(report["drawn"]["input"]) > 0.9
    assert_same(report["drawn"], in_python(model_file, report["drawn"]))
    assert report["firstPrediction"].startswith("3")


def test_the_picture_changes_with_the_class(report: dict[str, Any], model_file: Path):
    for index, frame in enumerate(report["asked"]):
        assert frame["classIndex"] == index
        assert frame["outputs"]["explained_class"] == [index]
        assert_same(frame, in_python(model_file, frame))
    assert len({frame["picture"] for frame in report["asked"]}) == 10


def test_a_prediction_is_a_button_that_explains_its_class(report: dict[str, Any]):
    ranking = np.argsort(report["drawn"]["outputs"]["predictions"])[::-1]
    assert report["second"]["classIndex"] == ranking[1]


def test_the_page_offers_the_heatmaps_of_the_signature(report: dict[str, Any]):
    assert report["heatmaps"] == [
        [f"heatmap_{layer}_{method}", f"{layer} · {method}"]
        for layer in ("conv2", "conv3")
        for method in ("deviation", "gradcam")
    ]


def test_each_layer_and_method_has_a_picture_of_its_own(report: dict[str, Any]):
    assert len(set(report["layers"])) == len(report["heatmaps"]) == 4


def test_dropped_files_are_read_as_chosen_ones(report: dict[str, Any]):
    assert report["dropped"]["input"] == report["uploaded"]["input"]
    assert "“no_image.png” can't be read as an image" in report["droppedNoImage"]


def test_another_model_can_be_chosen(report: dict[str, Any]):
    assert report["status"] == "Ready: 28 × 28 gray images."
    assert report["dropped"]["outputs"] == report["uploaded"]["outputs"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright(report: dict[str, Any], orientation: int, tmp_path: Path):
    path = photos(tmp_path)[orientation - 1]
    want = np.asarray(ImageOps.exif_transpose(Image.open(path)), float) / 255
    np.testing.assert_allclose(np.reshape(report["photos"][orientation - 1]["input"], (28, 28)), want, atol=0.02)


def test_the_name_of_a_chosen_file_is_shown(report: dict[str, Any]):
    assert [photo["name"] for photo in report["photos"]] == [f"photo_{n}.jpg" for n in range(1, 9)]
    assert report["longNames"]["file"] == "long_names.tflite"
    assert report["drawnName"] == "Your drawing"


def test_long_names_of_layers_are_shortened_in_the_menu(report: dict[str, Any]):
    assert report["longNames"]["options"] == ["…encoder_stage_1", "…encoder_stage_2"]
    assert report["longNames"]["full"] == "a_backbone_with_a_long_name_encoder_stage_1"


def test_the_time_of_a_frame_is_shown(report: dict[str, Any]):
    assert report["shownTime"]["text"] == f"{report['shownTime']['milliseconds']:.1f} ms"


def test_bad_files_get_a_readable_message(report: dict[str, Any]):
    complaints = report["complaints"]
    assert "“no_image.png” can't be read as an image" in complaints["image"]
    text, garbage, half, bare, other = complaints["models"]
    assert text == "This file is not a TensorFlow Lite model (.tflite)."
    assert garbage.startswith("This TensorFlow Lite model can't be run here")
    assert half.startswith("This TensorFlow Lite model can't be run here")
    assert bare.startswith("This model has no heatmaps")
    assert other.startswith(("This file has no signature", "This model has no heatmaps"))


def test_the_page_still_works_after_bad_files(report: dict[str, Any]):
    assert report["afterComplaints"]["outputs"] == report["uploaded"]["outputs"]
    assert report["complaintHidden"]


def test_the_console_is_empty_and_nothing_is_requested_elsewhere(report: dict[str, Any]):
    assert report["console"] == []
    assert report["elsewhere"] == []


def test_the_page_works_by_keyboard(report: dict[str, Any]):
    assert max(report["byKeyboard"]["input"]) > 0.5
    assert report["opacity"] == {"text": "0 %", "changed": True, "back": True}
    controls = ["pad", "clear", "image", "camera", *["predictions"] * 5]
    controls += ["heatmap", "class", "opacity", "colormap", "pixels", "model"]
    assert [name for name, _ in report["tabs"]] == controls
    assert all(outline != "none" for _, outline in report["tabs"])  # the focus is visible


def test_controls_have_names_for_screen_readers(report: dict[str, Any]):
    named = {"button", "combobox", "slider", "image", "application", "region", "list", "heading"}
    met = [(role, name) for role, name in report["readAloud"] if role in named]
    assert {role for role, _ in met} == named
    assert [role for role, name in met if not name.strip()] == []
    names = {name for _, name in met}
    assert {"Drawing area", "Layer and method", "Explain the class", "Colors"} <= names
    [described] = [name for role, name in met if role == "image"]
    assert re.fullmatch(r"The image under the heatmap of conv3, gradcam\. Class 3, [\d.]+ %", described)
    assert re.fullmatch(r"Class 3, [\d.]+ %", report["spoken"])


def test_the_page_fits_a_phone_in_light_and_dark(report: dict[str, Any]):
    assert report["phone"] == {"width": 360, "light": "rgb(246, 247, 249)", "dark": "rgb(20, 23, 28)"}


def test_the_camera_is_explained_until_it_is_stopped(report: dict[str, Any]):
    assert len(set(report["camera"]["input"])) > 1
    assert report["cameraPressed"] == "true"
    assert report["cameraStopped"] == "Start the camera"


def test_the_first_heatmap_takes_less_than_two_seconds(report: dict[str, Any]):
    assert report["threads"]
    assert report["firstHeatmapAfter"] < 2000


def test_memory_is_stable_over_500_frames(report: dict[str, Any]):
    early, late = report["memory"]["early"], report["memory"]["late"]
    assert late["heap"] < early["heap"] + 1e6
    # Tensors that are not freed, which the heap of JavaScript does not show, would take 9 MB.
    assert late["own"] < early["own"] + 5e6
