"""The command ``visualcnn export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.model_kinds import images, small_cnn_layers

import visualcnn_tf as vc
import visualcnn_tf.cli.main
from visualcnn_tf.cli import export as export_command
from visualcnn_tf.cli.main import main
from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_operations import count_ops

NAMES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((12, 12, 1), name="image"), *small_cnn_layers()], name="cnn")
    path = tmp_path_factory.mktemp("models") / "model.keras"
    model.save(path)
    return path


def test_export_writes_both_files(model_file: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["export", str(model_file), "--layers", "pool", "conv_b", "--method", "l2", "--size", "6", "7"]
    outputs = [
        "--saved-model",
        str(tmp_path / "served"),
        "--pixels",
        "-1..1",
        "--tflite",
        str(tmp_path / "m.tflite"),
    ]
    assert main([*words, "--heatmap-dtype", "uint8", *outputs]) == 0
    printed = capsys.readouterr().out
    assert f"Wrote {tmp_path / 'served' / '1'}" in printed
    assert "builtin only: yes" in printed

    x = images(1, 12, 12, 1)
    model = keras.models.load_model(model_file)
    want = vc.attach(model, ["pool", "conv_b"], method="l2", size=(6, 7), heatmap_dtype="uint8")(x)
    served = tf.saved_model.load(str(tmp_path / "served" / "1"))
    lite = interpreter((tmp_path / "m.tflite").read_bytes()).get_signature_runner("serving_default")
    for outputs in (served.signatures["serving_default"](image=x), lite(image=x)):
        assert set(outputs) == {"predictions", "heatmap_pool", "heatmap_conv_b"}
        for key, value in want.items():
            difference = np.abs(np.asarray(outputs[key], "float32") - np.asarray(value, "float32"))
            assert difference.max() <= (1.0 if value.dtype == tf.uint8 else 1e-5), key


@pytest.mark.slow
def test_a_file_is_asked_for_a_class(model_file: Path, tmp_path: Path) -> None:
    words = ["export", str(model_file), "--layers", "last", "--method", "gradcam", "--class", "input"]
    assert main([*words, "--tflite", str(tmp_path / "m.tflite")]) == 0
    x = images(1, 12, 12, 1)
    lite = interpreter((tmp_path / "m.tflite").read_bytes()).get_signature_runner("serving_default")
    for asked in (0, 2):
        want = vc.attach(keras.models.load_model(model_file), "last", method="gradcam", target=asked)(x)
        got = lite(image=x, class_index=np.array([asked], np.int32))
        assert set(got) == set(want)
        for key, value in want.items():
            np.testing.assert_allclose(got[key], value, atol=1e-5, err_msg=f"{key}, class {asked}")


@pytest.mark.slow
def test_several_classes_and_few_channels_are_exported(model_file: Path, tmp_path: Path) -> None:
    words = ["--layers", "last", "--method", "scorecam", "--max-channels", "2", "--class", "top2"]
    assert main(["export", str(model_file), *words, "--saved-model", str(tmp_path)]) == 0
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    assert {"explained_class"} < set(served.structured_outputs)
    assert {key[-5:] for key in served.structured_outputs if key.startswith("heatmap")} == {"_top1", "_top2"}


def test_int8_is_calibrated_on_a_folder_of_images(model_file: Path, tmp_path: Path, capsys: Any) -> None:
    rng = np.random.default_rng(0)
    for i in range(12):
        picture = tf.io.encode_png(rng.integers(0, 256, (15, 12, 1)).astype("uint8")).numpy()
        (tmp_path / f"{i}.png").write_bytes(picture)
    target = tmp_path / "out" / "m.tflite"
    words = ["--quantize", "int8", "--calibrate", str(tmp_path), "--pixels", "-1..1", "--tflite", str(target)]
    assert main(["export", str(model_file), *words]) == 0
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("MB, int8", "builtin only: yes", "correlation", "heatmap_conv_b"))
    content = target.read_bytes()
    assert count_ops(content)["QUANTIZE"] > 0
    x = rng.uniform(-1, 1, (1, 12, 12, 1)).astype("float32")
    want = vc.attach(keras.models.load_model(model_file))(x)
    got = interpreter(content).get_signature_runner("serving_default")(image=x)
    assert set(got) == set(want)
    for key, value in want.items():
        assert np.corrcoef(got[key].ravel(), np.asarray(value).ravel())[0, 1] > 0.97, key


def test_calibration_images_are_spread_over_the_folders_of_classes(
    model_file: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(10):
        picture = tf.io.encode_png(np.full((12, 12, 1), i, np.uint8)).numpy()
        (tmp_path / f"class{i // 5}").mkdir(exist_ok=True)
        (tmp_path / f"class{i // 5}" / f"{i}.png").write_bytes(picture)
    (tmp_path / "class0" / ".DS_Store").write_bytes(b"no picture")
    monkeypatch.setattr(export_command, "_MOST", 4)
    seen = []
    monkeypatch.setattr(
        export_command, "export_tflite", lambda *_, representative_data, **__: seen.extend(representative_data)
    )
    words = ["--calibrate", str(tmp_path), "--quantize", "int8", "--tflite", str(tmp_path / "m.tflite")]
    assert main(["export", str(model_file), *words]) == 0
    assert [round(255 * float(image[0, 0, 0])) for image in seen[0]] == [0, 3, 6, 9]
    assert f"Reading 4 of the 10 images in {tmp_path}." in capsys.readouterr().out


@pytest.mark.slow
def test_a_class_is_chosen_by_its_name(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    words = ["--layers", "last", "--method", "gradcam", "--class", NAMES[2], "--labels", str(tmp_path / "names.txt")]
    assert main(["export", str(model_file), *words, "--saved-model", str(tmp_path / "served")]) == 0
    served = tf.saved_model.load(str(tmp_path / "served" / "1")).signatures["serving_default"]
    assert served(image=images(2, 12, 12, 1))["explained_class"].numpy().tolist() == [2, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--class", "c", "--labels", "two"], "`--labels` must name"),
        (["--class", "z", "--labels", "all"], "`--class` must be the name of a class"),
        (["--class", "1", "--labels", "all"], "`--labels` must be left out unless --class is the name of a class"),
        (["--class", "c"], "or the name of a class, with --labels FILE"),
    ],
)
def test_mistakes_about_names(model_file: Path, tmp_path: Path, capsys: Any, words: list[str], message: str) -> None:
    files = {"two": ["c", "d"], "all": NAMES}
    for name, lines in files.items():
        (tmp_path / name).write_text("\n".join(lines))
    words = [str(tmp_path / word) if word in files else word for word in words]
    options = ["--layers", "last", "--method", "gradcam", "--tflite", str(tmp_path / "m.tflite")]
    assert main(["export", str(model_file), *options, *words]) == 2
    assert message in capsys.readouterr().err


def test_an_existing_file_is_an_error_before_anything_is_written(model_file: Path, tmp_path: Path, capsys: Any) -> None:
    target = tmp_path / "m.tflite"
    target.write_bytes(b"mine")
    words = ["export", str(model_file), "--layers", "last", "--tflite", str(target)]
    assert main([*words, "--saved-model", str(tmp_path / "served")]) == 2
    assert "`--tflite` must be a path that does not exist yet" in (said := capsys.readouterr().err)
    assert "Add `--overwrite` to replace it." in said
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_bytes() == b"mine"
    assert main([*words, "--overwrite"]) == 0
    assert count_ops(target.read_bytes())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "`--saved-model` must be given, or --tflite"),
        (["--tflite", "OUT/m.tflite", "--layers", "nope"], "'nope'"),
        (["--tflite", "OUT/m.tflite", "--method", "gradcam", "--class", "99"], "within the model's"),
        (["--tflite", "OUT/m.tflite", "--class", "input"], "Use a method such as 'gradcam'"),
    ],
)
def test_mistakes(model_file: Path, tmp_path: Path, capsys: Any, words: list[str], message: str) -> None:
    words = [word.replace("OUT", str(tmp_path)) for word in words]
    assert main(["export", str(model_file), *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("visualcnn: error: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--quantize", "int3"], "'float16', 'dynamic', 'int8'. Received: 'int3'. Did you mean 'int8'? Run"),
        (["--pixels", "imagenet"], "'0..255', '0..1', '-1..1', 'caffe', 'torch', "),
        (
            ["--heatmap-dtype", "float64"],
            "'float32', 'float16', 'uint8'. Received: 'float64'. Did you mean 'float16' or",
        ),
    ],
)
def test_wrong_choices(model_file: Path, tmp_path: Path, capsys: Any, words: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["export", str(model_file), "--tflite", str(tmp_path / "m.tflite"), *words])
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith(f"visualcnn: error: argument {words[0]}: must be one of {message}")
    assert not list(tmp_path.iterdir())


# Images, in folders of classes --------------------------------------------------------------------------------------


def write_photos(folder: Path, count: int, classes: int = 3) -> list[Path]:
    rng = np.random.default_rng(0)
    files = []
    for i in range(count):
        file = folder / f"class_{i % classes}" / f"{i}.PNG"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(tf.io.encode_png(rng.integers(0, 256, (15, 12, 1)).astype("uint8")).numpy())
        files.append(file)
    return files


@pytest.mark.slow
def test_images_are_found_in_folders_of_classes(model_file: Path, tmp_path: Path, capsys: Any) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 70)
    (photos / ".hidden").mkdir()
    for other in (photos / "labels.csv", photos / ".hidden" / "a.png", photos / "class_0" / ".b.png"):
        other.write_bytes(b"no picture")
    words = ["export", str(model_file), "--calibrate", str(photos), "--pixels", "0..1"]
    assert main([*words, "--saved-model", str(tmp_path / "m"), "--tflite", str(tmp_path / "m.tflite")]) == 0
    said = capsys.readouterr().out
    assert f"Reading 64 of the 70 images in {photos}." in said
    assert "a SavedModel, the same as the model on 64 images." in said
    assert "compared with the model on 64 examples: yours" in said


def test_photos_are_calibrated_upright(model_file: Path, tmp_path: Path) -> None:
    from PIL import Image

    ramp = np.add.outer(np.zeros(12), np.linspace(0, 255, 12)).astype("uint8")
    exif = Image.Exif()
    exif[0x112] = 8
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=100, exif=exif)
    [image] = export_command._images(keras.models.load_model(model_file), [tmp_path / "a.jpg"], vc.Pixels("0..1"))
    np.testing.assert_allclose(image[..., 0], np.rot90(ramp) / 255, atol=0.03)


def test_the_image_that_differs_is_named(model_file: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    files = write_photos(tmp_path / "photos", 30)
    seen = []

    def wrong(*_: Any, representative_data: Any, **__: Any) -> None:
        seen.append(representative_data[0][17])
        error = ExportVerificationError("It differs.")
        error.example = 17
        raise error

    monkeypatch.setattr(export_command, "export_tflite", wrong)
    words = ["--calibrate", str(tmp_path / "photos"), "--tflite", str(tmp_path / "m.tflite")]
    assert main(["export", str(model_file), *words]) == 2
    said = capsys.readouterr().err
    named = Path(said.split("The image is `")[1].split("`")[0])
    assert named in files
    want = tf.image.resize(tf.io.decode_png(named.read_bytes()), (12, 12), antialias=True)
    np.testing.assert_allclose(seen[0], want / 255, atol=1e-5)


# Arguments, before any work -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tflite", "m", "--quantize", "int8"], "`--calibrate` must be a folder of images with `--quantize int8`"),
        (["--saved-model", "m", "--quantize", "dynamic"], "`--quantize` must be left out without --tflite"),
        (["--saved-model", "m", "--overwrite"], "`--overwrite` must be left out without --tflite"),
        (["--saved-model", "m", "--min-correlation", "-1"], "`--min-correlation` must be left out without --tflite"),
        (["--tflite", "m", "--calibrate", "absent"], "There is no such folder"),
        (["--tflite", "m", "--calibrate", "."], "There is no image file in `.`"),
        ([], "`--saved-model` must be given"),
    ],
)
def test_arguments_are_checked_before_any_work(
    tmp_path: Path, capsys: Any, monkeypatch: Any, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(visualcnn_tf.cli.main, "_run", lambda _: pytest.fail("work was begun"))
    assert main(["export", "model.keras", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("number", ["1.01", "-1.5", "nan", "half"])
def test_limits_are_numbers(number: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["export", "m", "--tflite", "m", f"--min-correlation={number}"])
    assert f"--min-correlation: must be a number from -1 to 1. Received: {number!r}." in capsys.readouterr().err
