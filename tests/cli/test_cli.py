"""The command line: each command, each mistake."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.small_cnn import small_cnn

import visualcnn_tf.cli.main
from visualcnn_tf import methods
from visualcnn_tf._attach import attach
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.cli import parser
from visualcnn_tf.cli import show as show_command
from visualcnn_tf.cli.help_texts import HELP
from visualcnn_tf.cli.main import main
from visualcnn_tf.export.tflite_options import QUANTIZATIONS
from visualcnn_tf.ops.normalize import DTYPES
from visualcnn_tf.pixels.photos import read_photos
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.render.colormaps import COLORMAPS, DEFAULT_COLORMAP
from visualcnn_tf.viz.gallery import BACKGROUNDS

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


@pytest.fixture
def plotted(monkeypatch):
    """What ``show`` hands to plot_pages."""
    calls = []
    original = show_command.plot_pages

    def record(images, outputs, **options):
        calls.append((images, outputs, options))
        return original(images, outputs, **options)

    monkeypatch.setattr(show_command, "plot_pages", record)
    return calls


def show(folder, tmp_path, *words, model="model.keras", images=("a.png",)):
    out = tmp_path / "out.png"
    code = main(["show", str(folder / model), *(str(folder / image) for image in images), *words, "-o", str(out)])
    assert code == 0
    assert tf.io.decode_image(out.read_bytes()).shape[-1] == 4


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


def test_layers_says_when_there_are_none(folder, capsys):
    assert main(["layers", str(folder / "table.keras")]) == 0
    assert "has no layer with a spatial output" in capsys.readouterr().out


# show -----------------------------------------------------------------------------------------------------


def test_show_draws_what_attach_returns(folder, tmp_path, plotted, capsys):
    show(folder, tmp_path)
    images, outputs, options = plotted[0]
    pixels = tf.io.decode_image((folder / "a.png").read_bytes()).numpy()[None]
    np.testing.assert_array_equal(images, pixels)
    expected = attach(small_cnn()).predict(pixels / np.float32(255), verbose=0)
    assert list(outputs) == ["predictions", "heatmap_first", "heatmap_pool", "heatmap_second"]
    for key, values in expected.items():
        np.testing.assert_allclose(outputs[key], values, atol=1e-5)
    assert [tap.path for tap in options["taps"]] == ["first", "pool", "second"]
    said = capsys.readouterr().out
    assert "Pixels: 0..1, assumed, because the model does not tell; --pixels" in said
    assert f"Wrote {tmp_path / 'out.png'}" in said


def test_show_takes_several_images_of_other_sizes(folder, tmp_path, plotted):
    show(folder, tmp_path, images=("a.png", "b.png"))
    expected = tf.image.resize(tf.io.decode_image((folder / "b.png").read_bytes()), (12, 12), antialias=True).numpy()
    np.testing.assert_array_equal(plotted[0][0][1], np.round(expected).astype(np.uint8))


def test_show_options_reach_attach(folder, tmp_path, plotted):
    show(folder, tmp_path, "--layers", "second", "-5", "--method", "max", "--size", "5", "7", "--combine")
    expected = attach(small_cnn(), layers=["second", "first"], method="max", size=(5, 7), combine="mean")
    pixels = tf.io.decode_image((folder / "a.png").read_bytes()).numpy()[None] / np.float32(255)
    outputs = plotted[0][1]
    assert list(outputs) == ["predictions", "heatmap_first", "heatmap_second", "heatmap"]
    for key, values in expected.predict(pixels, verbose=0).items():
        np.testing.assert_allclose(outputs[key], values, atol=1e-5)


def test_show_at_native_size_with_a_preset(folder, tmp_path, plotted):
    show(folder, tmp_path, "--layers", "stages", "--size", "native")
    sizes = {key: value.shape for key, value in plotted[0][1].items() if key != "predictions"}
    assert sizes == {"heatmap_first": (1, 12, 12), "heatmap_second": (1, 4, 4)}


@pytest.mark.parametrize(
    ("words", "model", "factor", "offset"),
    [
        (["--pixels", "0..255"], "model.keras", 1, 0),
        (["--pixels", "0..1"], "model.keras", 255, 0),
        (["--pixels", "-1..1"], "model.keras", 127.5, 1),
        (["--pixels=-1..1"], "model.keras", 127.5, 1),
        (["--pixels", "mobilenet_v2"], "model.keras", 127.5, 1),
        ([], "rescales.keras", 1, 0),
    ],
)
def test_show_scales_pixels(folder, tmp_path, plotted, monkeypatch, words, model, factor, offset):
    seen, predict = [], ExplainedModel.predict

    def record(self, images, **options):
        seen.append(images)
        return predict(self, images, **options)

    monkeypatch.setattr(ExplainedModel, "predict", record)
    show(folder, tmp_path, *words, model=model)
    pixels = tf.io.decode_image((folder / "a.png").read_bytes()).numpy()[None]
    np.testing.assert_allclose(seen[0], pixels / factor - offset, atol=1e-6)


def test_show_reads_class_names(folder, tmp_path, plotted):
    show(folder, tmp_path, "--labels", str(folder / "three.txt"))
    assert plotted[0][2]["class_names"] == ["cat", "dog", "newt"]


def test_show_honors_the_models_channels(folder, tmp_path, plotted):
    show(folder, tmp_path, model="gray.keras")
    assert plotted[0][0].shape == (1, 12, 12, 1)


def test_show_takes_the_first_images_size_where_the_model_leaves_it_open(folder, tmp_path, plotted):
    show(folder, tmp_path, model="any_size.keras", images=("b.png", "a.png"))
    assert plotted[0][0].shape == (2, 30, 20, 3)


def test_show_explains_the_model_inside_an_explained_model(folder, tmp_path, plotted):
    show(folder, tmp_path, "--layers", "last", model="explained.keras")
    assert list(plotted[0][1]) == ["predictions", "heatmap_second"]


@pytest.mark.parametrize(
    ("words", "options", "keys"),
    [
        (["--method", "gradcam"], {"method": "gradcam"}, [""]),
        (["--method", "gradcam", "--class", "2"], {"method": "gradcam", "target": 2}, [""]),
        (["--method", "gradcam", "--class", "top2"], {"method": "gradcam", "target": "top2"}, ["_top1", "_top2"]),
        (
            ["--method", "ablationcam", "--max-channels", "3", "--class", "1"],
            {"method": methods.AblationCAM(max_channels=3), "target": 1},
            [""],
        ),
    ],
)
def test_show_explains_a_class(folder, tmp_path, plotted, words, options, keys):
    show(folder, tmp_path, "--layers", "last", *words)
    pixels, outputs, _ = plotted[0]
    assert list(outputs) == ["predictions", "explained_class", *(f"heatmap_second{key}" for key in keys)]
    for key, values in attach(small_cnn(), "last", **options).predict(pixels / np.float32(255), verbose=0).items():
        np.testing.assert_allclose(outputs[key], values, atol=1e-5)


@pytest.mark.parametrize("name", ["newt", "Newt", "2"])
def test_show_explains_a_class_by_its_name(folder, tmp_path, plotted, name):
    words = ["--layers", "last", "--method", "gradcam", "--class", name, "--labels", str(folder / "three.txt")]
    show(folder, tmp_path, *words)
    pixels, outputs, options = plotted[0]
    assert outputs["explained_class"] == [2]
    assert options["class_names"] == ["cat", "dog", "newt"]
    expected = attach(small_cnn(), "last", method="gradcam", target=2).predict(pixels / np.float32(255), verbose=0)
    np.testing.assert_allclose(outputs["heatmap_second"], expected["heatmap_second"], atol=1e-5)


def test_show_takes_folders(folder, tmp_path, plotted, capsys):
    show(folder, tmp_path, "--layers", "last", images=("b.png", "pictures"))
    assert len(plotted[0][0]) == 4  # not the hidden one
    assert "(images: 4, layers: 1)" in capsys.readouterr().out


def test_show_names_the_two_classes_of_a_single_score(folder, tmp_path, plotted):
    image = keras.Input((12, 12, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="maps")(image))
    keras.Model(image, layers.Dense(1, activation="sigmoid")(pooled)).save(tmp_path / "binary.keras")
    words = ["--layers", "last", "--method", "gradcam", "--class", "dog", "--labels", str(folder / "two.txt")]
    show(folder, tmp_path, *words, model=tmp_path / "binary.keras")
    assert plotted[0][1]["explained_class"] == [1]


def test_show_names_the_classes_of_one_of_several_outputs(folder, tmp_path, plotted):
    image = keras.Input((12, 12, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="maps")(image))
    heads = [layers.Dense(2, name="kind")(pooled), layers.Dense(3, name="animal")(pooled)]
    keras.Model(image, heads).save(tmp_path / "two.keras")
    words = ["--layers", "last", "--method", "gradcam", "--output", "animal", "--labels", str(folder / "three.txt")]
    show(folder, tmp_path, *words, "--class", "newt", model=tmp_path / "two.keras")
    assert plotted[0][1]["explained_class"] == [2]


def test_show_tells_the_class_in_the_titles(folder, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(show_command, "save_figure", lambda figure, path: figures.append(figure))
    words = ["--layers", "last", "--method", "gradcam", "--class", "2", "--labels", str(folder / "three.txt")]
    assert main(["show", str(folder / "model.keras"), str(folder / "a.png"), *words]) == 0
    assert figures[0].axes[1].get_title().startswith("second\n4×4\nfor newt")


def test_show_on_a_dark_background(folder, tmp_path):
    show(folder, tmp_path, "--background", "dark")
    assert tf.io.decode_image((tmp_path / "out.png").read_bytes())[0, 0].numpy().tolist() == [20, 23, 28, 255]


def test_show_writes_pages(folder, tmp_path, capsys):
    out = tmp_path / "out.png"
    images = [str(folder / "a.png")] * 60
    assert main(["show", str(folder / "model.keras"), *images, "--layers", "last", "-o", str(out)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out_1.png", "out_2.png", "out_3.png"]
    assert f"Wrote {tmp_path / 'out_1.png'}, {tmp_path / 'out_2.png'}, " in capsys.readouterr().out


def test_show_counts_a_layer_once_for_all_classes(folder, tmp_path, capsys):
    words = ["show", str(folder / "model.keras"), str(folder / "a.png"), "--layers", "last", "--method", "gradcam"]
    assert main([*words, "--class", "top3", "-o", str(tmp_path / "out.png")]) == 0
    assert "(images: 1, layers: 1)" in capsys.readouterr().out


def test_show_explains_one_of_several_outputs(folder, tmp_path, plotted):
    image = keras.Input((12, 12, 3))
    maps = layers.Conv2D(4, 3, name="maps")(image)
    pooled = layers.GlobalAveragePooling2D()(maps)
    heads = [layers.Dense(2, name="kind")(pooled), layers.Dense(5, name="color")(pooled)]
    keras.Model(image, heads).save(tmp_path / "two.keras")
    words = ["--layers", "last", "--method", "gradcam", "--class", "4", "--output", "color"]
    show(folder, tmp_path, *words, model=tmp_path / "two.keras")
    assert plotted[0][1]["explained_class"] == [4]


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
        (["layers", "."], "is a folder"),
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


def test_python_dash_m(folder):
    command = [sys.executable, "-m", "visualcnn_tf", "layers", folder / "model.keras"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, encoding="utf-8")
    assert done.returncode == 0
    assert "second  Conv2D        4×4×5    conv, stages, last" in done.stdout
