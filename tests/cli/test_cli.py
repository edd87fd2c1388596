"""The command line: each command, each mistake."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import transformers
from support.small_cnn import small_cnn

import visualcnn_tf.cli.main
from visualcnn_tf import methods
from visualcnn_tf._attach import attach
from visualcnn_tf.cli import box_arguments, parser
from visualcnn_tf.cli.help_texts import HELP
from visualcnn_tf.cli.main import main
from visualcnn_tf.export.tflite_options import QUANTIZATIONS
from visualcnn_tf.ops.normalize import DTYPES
from visualcnn_tf.pixels.photos import read_photos
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.render.colormaps import COLORMAPS, DEFAULT_COLORMAP
from visualcnn_tf.targets.detections.box_formats import BOX_FORMATS
from visualcnn_tf.viz.look import BACKGROUNDS

ROOT = Path(visualcnn_tf.cli.main.__file__).parents[2]
layers = keras.layers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models and pictures that the tests read and do not change."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    small_cnn().save(folder / "model.keras")
    attach(small_cnn()).save(folder / "explained.keras")
    small_cnn(size=None).save(folder / "any_size.keras")
    small_cnn(channels=1).save(folder / "gray.keras")
    small_cnn(before=[layers.Rescaling(1 / 255, name="scale")]).save(folder / "rescales.keras")
    keras.Sequential([keras.Input((12, 12, 3)), layers.Lambda(lambda x: x * 2)]).save(folder / "lambda.keras")
    keras.Sequential([keras.Input((4,)), layers.Dense(2)]).save(folder / "table.keras")
    keras.Sequential([keras.Input((12, 12, 3)), Doubling()]).save(folder / "custom.keras")
    for name, shape in {"a": (12, 12, 3), "b": (30, 20, 3)}.items():
        image = tf.constant(rng.integers(0, 256, shape), tf.uint8)
        tf.io.write_file(str(folder / f"{name}.png"), tf.io.encode_png(image))
    (folder / "text.png").write_text("no picture")
    (folder / "text.keras").write_text("no model")
    (folder / "text.h5").write_text("no model")
    (folder / "three.txt").write_text("cat\ndog\n\nnewt\n")
    (folder / "two.txt").write_text("cat\ndog\n")
    (folder / "twice.txt").write_text("cat\ndog\ncat\n")
    for name in ("pictures/1_2.png", "pictures/dog/2.png", "pictures/dog/10.png", "pictures/.hidden.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((folder / "a.png").read_bytes())
    (folder / "texts").mkdir()
    (folder / "texts" / "notes.txt").write_text("no picture")
    (folder / "unreadable" / "dog").mkdir(parents=True)
    (folder / "unreadable" / "dog" / "1.png").write_text("no picture")
    return folder


class Doubling(layers.Layer):
    """A layer that no file can be loaded with unless it is registered."""

    def call(self, inputs):
        return inputs * 2


# layers ---------------------------------------------------------------------------------------------------


def test_layers_prints_a_table(folder, capsys):
    assert main(["layers", str(folder / "model.keras")]) == 0
    assert [line.split(maxsplit=3) for line in capsys.readouterr().out.splitlines()] == [
        ["layer", "type", "output", "in presets"],
        ["first", "Conv2D", "12×12×4", "conv, stages"],
        ["pool", "MaxPooling2D", "6×6×4", "conv"],
        ["second", "Conv2D", "4×4×5", "conv, stages, last"],
    ]


def test_layers_reads_hdf5_and_unknown_sizes(tmp_path, capsys):
    small_cnn(size=None).save(tmp_path / "model.h5")
    assert main(["layers", str(tmp_path / "model.h5")]) == 0
    assert "first   Conv2D        ?×?×4   conv, stages" in capsys.readouterr().out


def test_layers_of_an_explained_model_are_those_of_the_model_inside(folder, capsys):
    main(["layers", str(folder / "model.keras")])
    plain = capsys.readouterr().out
    main(["layers", str(folder / "explained.keras")])
    assert capsys.readouterr().out == plain


def test_layers_tells_the_grid_of_tokens(tmp_path, capsys):
    transformers.vit(size=(8, 20), registers=3).save(tmp_path / "vit.keras")
    assert main(["layers", str(tmp_path / "vit.keras")]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "2×5×8 (tokens, 1 before, 3 behind)" in lines["block1_norm1"]
    assert lines["patches"].split() == ["patches", "Conv2D", "2×5×8", "conv"]
    assert lines["block1_norm1"].endswith("stages (target), last (target)")
    assert lines["block1_out"].endswith("stages (no target), last (no target)")


def test_layers_says_when_there_are_none(folder, capsys):
    assert main(["layers", str(folder / "table.keras")]) == 0
    assert "has no layer with a spatial output" in capsys.readouterr().out


# photos ---------------------------------------------------------------------------------------------------


def test_images_are_read_as_0_to_255(folder):
    pixels = tf.io.decode_image((folder / "b.png").read_bytes()).numpy()
    images = read_photos([folder / "b.png"], (None, None, None, 3), Pixels())
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images[0], pixels)


def test_jpeg_files_are_read(tmp_path):
    smooth = np.broadcast_to(np.linspace(0, 255, 16)[:, None, None], (16, 16, 3)).astype(np.uint8)
    tf.io.write_file(str(tmp_path / "a.jpg"), tf.io.encode_jpeg(smooth, quality=100))
    images = read_photos([tmp_path / "a.jpg"], (None, 16, 16, 3), Pixels())
    np.testing.assert_allclose(images[0], smooth, atol=6)


# Mistakes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["layers", "absent.keras"], "There is no file"),
        (["layers", "."], "There is no file `saved_model.pb` in it"),
        (["layers", "text.keras"], "is not a Keras model"),
        (["layers", "text.h5"], "is not a Keras model"),
        (["layers", "a.png"], "is not a Keras model"),
        (["layers", "lambda.keras"], "Lambda layer, whose code is not run"),
        (["layers", "custom.keras"], "it needs custom classes or functions"),
        (["show", "absent.keras", "a.png"], "There is no file"),
        (["show", "table.keras", "a.png"], "The model must take one image"),
        (["show", "model.keras", "absent.png"], "There is no image file"),
        (["show", "model.keras", "text.png"], "can't be read as an image"),
        (["show", "model.keras", "a.png", "--layers", "secnod"], "Did you mean 'second'"),
        (["show", "model.keras", "a.png", "--layers", "head"], "spatial output"),
        (["show", "model.keras", "a.png", "--layers", "99"], "indices must be from"),
        (["show", "model.keras", "a.png", "--method", "gradcam", "--class", "3"], "within the model's 3 classes"),
        (["show", "model.keras", "a.png", "--method", "gradcam", "--class", "top4"], "within the model's 3 classes"),
        (
            ["show", "model.keras", "a.png", "--method", "gradcam", "--class", "cat"],
            "a class index, or the name of a class, with --labels FILE. Received: 'cat'.",
        ),
        (
            ["show", "model.keras", "a.png", "--method", "gradcam", "--class", "predictd"],
            "Received: 'predictd'. Did you mean 'predicted'?",
        ),
        (
            ["show", "model.keras", "a.png", "--method", "gradcam", "--class", "nwet", "--labels", "three.txt"],
            "`--class` must be the name of a class ('cat', 'dog', 'newt'). Received: 'nwet'. Did you mean 'newt'?",
        ),
        (
            ["show", "model.keras", "a.png", "--method", "gradcam", "--class", "cat", "--labels", "twice.txt"],
            "`--class` must be the name of one class. Received: 'cat'. Several have it: use an index, one of [0, 2].",
        ),
        (["show", "model.keras", "a.png", "--class", "cat", "--labels", "three.txt"], "Use a method such as 'gradcam'"),
        (["show", "model.keras", "pictures", "texts"], "There is no image file in `texts`"),
        (["show", "model.keras", "unreadable"], "`unreadable/dog/1.png` can't be read as an image"),
        (["show", "model.keras", "a.png", "-o", "a.png"], "It would replace `a.png`."),
        (["show", "model.keras", "pictures", "-o", "pictures/1.png"], "It would replace `pictures/1_2.png`."),
        (["show", "model.keras", "a.png", "--method", "gradcam", "--class", "input"], "`--class` must be 'predicted'"),
        (["show", "model.keras", "a.png", "--class", "1"], "Use a method such as 'gradcam'"),
        (["show", "model.keras", "a.png", "--method", "gradcam", "--output", "kind"], "`output` must be"),
        (["show", "model.keras", "a.png", "--method", "scorecam", "--max-channels", "0"], "`max_channels` must be"),
        (["show", "model.keras", "a.png", "--size", "0", "5"], "`--size` must be 'native' or a height"),
        (["show", "model.keras", "a.png", "--size", "big"], "Received: 'big'"),
        (
            ["show", "model.keras", "a.png", "--labels", "two.txt"],
            "must name 3 classes, one a line. Received: 2",
        ),
        (["show", "model.keras", "a.png", "--labels", "absent.txt"], "for `--labels`"),
        (["show", "model.keras", "a.png", "-o", "out.xyz"], "`--out` must be a picture file"),
        (["show", "model.keras", "a.png", "-o", "model.keras/out.png"], "model.keras"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_on_stderr_and_exit_code_2(folder, monkeypatch, capsys, words, message):
    monkeypatch.chdir(folder)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("visualcnn: error: ")
    assert said.count("\n") == 1
    assert message in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required"),
        (["draw"], "invalid choice: 'draw'"),
        (["show", "model.keras"], "IMAGE"),
        (["show", "model.keras", "a.png", "--pixels", "mobilnet_v2"], "Did you mean 'mobilenet_v2'"),
        (["show", "model.keras", "a.png", "--fit", "croped"], "argument --fit: must be one of 'squeeze', 'crop'"),
        (
            ["video", "m", "f", "-o", "o.gif", "--colormap", "hot"],
            "argument --colormap: must be one of 'turbo'",
        ),
        (["show", "model.keras", "a.png", "--max-channels", "few"], "argument --max-channels"),
        (["show", "m", "i", "--method", "devation"], "Did you mean 'deviation'"),
        (["demo", "--seed", "x"], "argument --seed"),
    ],
)
def test_a_wrong_command_line_exits_with_2(capsys, words, message):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("visualcnn: error: ")
    assert said.count("\n") == 1
    assert message in said
    assert "--help` for help." in said


@pytest.mark.parametrize(
    ("offered", "allowed"),
    [
        (parser.COLORMAPS, COLORMAPS),
        (parser.BACKGROUNDS, BACKGROUNDS),
        (parser.DTYPES, DTYPES),
        (parser.METHODS, methods.NAMES),
        (box_arguments.BOX_FORMATS, BOX_FORMATS),
        (parser.QUANTIZE, [name for name in QUANTIZATIONS if name]),
    ],
)
def test_the_choices_of_the_parser_are_those_of_the_package(offered, allowed):
    assert offered == tuple(allowed)
    assert parser.DEFAULT_COLORMAP == DEFAULT_COLORMAP


# Help, version, start -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", HELP)
def test_help_has_examples(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"examples:\n  visualcnn {command}" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("visualcnn-tf ")


@pytest.mark.slow
def test_python_dash_m(folder):
    command = [sys.executable, "-m", "visualcnn_tf", "layers", folder / "model.keras"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, encoding="utf-8")
    assert done.returncode == 0
    assert "second  Conv2D        4×4×5    conv, stages, last" in done.stdout
