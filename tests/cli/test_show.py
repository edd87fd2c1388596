"""``visualcnn show``: which photos are explained how, and what is written."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.detectors import DETECTORS
from support.small_cnn import small_cnn

from visualcnn_tf import methods
from visualcnn_tf._attach import attach
from visualcnn_tf.cli import show as show_command
from visualcnn_tf.cli.main import main
from visualcnn_tf.targets import Box

layers = keras.layers
NAMES = ["cat", "dog", "newt"]


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
    return image


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
    for name, size in {"a": (12, 12), "b": (30, 20)}.items():
        write(folder / f"{name}.png", rng.integers(0, 256, (*size, 3)).astype(np.uint8))
    (folder / "three.txt").write_text("cat\ndog\n\nnewt\n")
    (folder / "two.txt").write_text("cat\ndog\n")
    for name in ("1_2.png", "dog/2.png", "dog/10.png", ".hidden.png"):
        write(folder / "pictures" / name, np.asarray(opened(folder / "a.png")))
    for number, name in enumerate(NAMES):
        write(folder / "classes" / name / f"{number}.png", rng.integers(0, 256, (12, 12, 3)).astype(np.uint8))
    return folder


@pytest.fixture
def shown(monkeypatch):
    """The pages that ``show`` draws."""
    pages = []
    original = show_command.explain_photos
    monkeypatch.setattr(
        show_command, "explain_photos", lambda *args, **options: pages.append(original(*args, **options)) or pages[-1]
    )
    return pages


def show(folder, tmp_path, *words, model="model.keras", images=("a.png",)):
    out = tmp_path / "out.png"
    code = main(["show", str(folder / model), *(str(folder / image) for image in images), *words, "-o", str(out)])
    assert code == 0
    assert opened(out).mode == "RGBA"


def outputs(pages):
    """What the explained model returned for all photos."""
    photos = [photo.outputs for photo in pages.photos()]
    return {key: np.stack([photo[key] for photo in photos]) for key in photos[0]}


def pixels(folder, name="a.png"):
    return np.asarray(opened(folder / name), np.float32)[None]


def texts(page):
    """The titles of a page, without the numbers beside the color bar."""
    return [text.get_text() for text in page.texts[:-3]]


def test_show_draws_what_attach_returns(folder, tmp_path, shown, capsys):
    show(folder, tmp_path)
    expected = attach(small_cnn(), "stages").predict(pixels(folder) / 255, verbose=0)
    got = outputs(shown[0])
    assert list(got) == ["predictions", "heatmap_first", "heatmap_second"]
    for key, values in expected.items():
        np.testing.assert_allclose(got[key], values, atol=1e-5)
    said = capsys.readouterr().out
    assert "Pixels: 0..1, assumed, because the model does not tell; --pixels" in said
    assert f"Wrote {tmp_path / 'out.png'} (images: 1, layers: 2)." in said


def test_show_lays_maps_over_photos_of_any_proportions(folder, tmp_path, shown):
    show(folder, tmp_path, "--layers", "last", images=("a.png", "b.png"))
    shapes = [photo.picture.shape for photo in shown[0].photos()]
    side = shapes[0][0]
    assert shapes == [(side, side, 3), (side, round(side * 2 / 3), 3)]
    fitted = tf.image.resize(pixels(folder, "b.png"), (12, 12), antialias=True)
    expected = small_cnn().predict(fitted / 255, verbose=0)
    np.testing.assert_allclose(outputs(shown[0])["predictions"][1:], expected, atol=1e-6)


def test_show_explains_a_box_of_a_detector_and_draws_it(folder, tmp_path, shown):
    detector = DETECTORS["yolo"]()
    detector.model.save(folder / "detector.keras")
    show(folder, tmp_path, "--layers", "maps", "--box", "2", "--box-format", "xyxy", model="detector.keras")
    model = shown[0].explainer.explained
    assert [tap.method.name for tap in model.taps] == ["hirescam"]
    assert model.options.target == Box(2, box_format="xyxy")
    got = outputs(shown[0])
    np.testing.assert_allclose(got["explained_box"], got["predictions"][:, 2, :4], rtol=1e-5)
    score = got["explained_score"][0]
    assert f"for class {got['explained_class'][0]} {score:.1%}" in "\n".join(texts(shown[0][0]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--box", "first"], "`--box` must be the index of a box from 0, several, or 'best'"),
        (["--box", "0", "--class", "2"], "`--class` must be left out with --box"),
        (["--box-format", "xyxy"], "`--box-format` must be left out without --box"),
    ],
)
def test_show_refuses_options_of_boxes(folder, capsys, words, message):
    assert main(["show", str(folder / "model.keras"), str(folder / "a.png"), *words]) == 2
    assert message in capsys.readouterr().err


def test_show_options_reach_attach(folder, tmp_path, shown):
    show(folder, tmp_path, "--layers", "second", "-5", "--method", "max", "--size", "5", "7", "--combine")
    expected = attach(small_cnn(), layers=["second", "first"], method="max", size=(5, 7), combine="mean")
    got = outputs(shown[0])
    assert list(got) == ["predictions", "heatmap_first", "heatmap_second", "heatmap"]
    for key, values in expected.predict(pixels(folder) / 255, verbose=0).items():
        np.testing.assert_allclose(got[key], values, atol=1e-5)


def test_show_at_native_size(folder, tmp_path, shown):
    show(folder, tmp_path, "--size", "native")
    sizes = {key: value.shape for key, value in outputs(shown[0]).items() if key != "predictions"}
    assert sizes == {"heatmap_first": (1, 12, 12), "heatmap_second": (1, 4, 4)}


@pytest.mark.sweep(cases=3)
@pytest.mark.parametrize(
    ("words", "model", "scale"),
    [
        (["--pixels", "0..255"], "model.keras", lambda x: x),
        (["--pixels", "0..1"], "model.keras", lambda x: x / 255),
        (["--pixels", "-1..1"], "model.keras", lambda x: x / 127.5 - 1),
        (["--pixels=-1..1"], "model.keras", lambda x: x / 127.5 - 1),
        (["--pixels", "mobilenet_v2"], "model.keras", lambda x: x / 127.5 - 1),
        ([], "rescales.keras", lambda x: x / 255),
    ],
)
def test_show_scales_pixels(folder, tmp_path, shown, words, model, scale):
    show(folder, tmp_path, *words, model=model)
    expected = small_cnn().predict(scale(pixels(folder)), verbose=0)
    np.testing.assert_allclose(outputs(shown[0])["predictions"], expected, atol=1e-6)


def test_show_crops_photos(folder, tmp_path, shown):
    show(folder, tmp_path, "--fit", "crop", "--layers", "last", images=("b.png",))
    heatmap = next(shown[0].photos()).heatmap("heatmap_second")
    assert np.isnan(heatmap[:5]).all()
    assert np.isnan(heatmap[25:]).all()
    assert not np.isnan(heatmap[5:25]).any()


def test_show_has_colors_and_opacity(folder, tmp_path, shown):
    show(folder, tmp_path, "--alpha", "0.25", "--colormap", "gray")
    assert (shown[0].look.alpha, shown[0].look.colormap) == (0.25, "gray")
    show(folder, tmp_path, "--alpha", "none", "--colormap", "inferno")
    assert (shown[1].look.alpha, shown[1].look.colormap) == (None, "inferno")


def test_show_reads_class_names(folder, tmp_path, shown):
    show(folder, tmp_path, "--labels", str(folder / "three.txt"))
    assert shown[0].class_names == NAMES


def test_show_takes_class_names_and_truths_from_folders(folder, tmp_path, shown):
    show(folder, tmp_path, "--layers", "last", images=("classes",))
    assert shown[0].class_names == NAMES
    assert [photo.truth for photo in shown[0].labeled] == [0, 1, 2]
    predicted = outputs(shown[0])["predictions"].argmax(axis=1)
    titles = [text for text in texts(shown[0][0]) if ".png" in text]
    for number, (title, index) in enumerate(zip(titles, predicted, strict=True)):
        lines = title.split("\n")
        assert lines[0] == f"{NAMES[number]}/{number}.png"
        assert lines[1].startswith(NAMES[index])
        assert (lines[2:] == [f"true: {NAMES[number]}"]) == (index != number)


def test_show_takes_names_of_a_file_before_those_of_folders(folder, tmp_path, shown):
    (tmp_path / "labels.txt").write_text("dog\ncat\nfish\n")
    show(folder, tmp_path, "--labels", str(tmp_path / "labels.txt"), images=("classes",))
    assert shown[0].class_names == ["dog", "cat", "fish"]
    assert [photo.truth for photo in shown[0].labeled] == [1, 0, None]


def test_show_honors_the_models_channels(folder, tmp_path, shown):
    show(folder, tmp_path, model="gray.keras")
    gray = np.asarray(opened(folder / "a.png").convert("L"), np.float32)[None, ..., None]
    expected = small_cnn(channels=1).predict(gray / 255, verbose=0)
    np.testing.assert_allclose(outputs(shown[0])["predictions"], expected, atol=1e-2)


def test_show_takes_the_first_images_size_where_the_model_leaves_it_open(folder, tmp_path, shown):
    show(folder, tmp_path, model="any_size.keras", images=("b.png", "a.png"))
    assert outputs(shown[0])["heatmap_first"].shape == (2, 30, 20)


def test_show_explains_the_model_inside_an_explained_model(folder, tmp_path, shown):
    show(folder, tmp_path, "--layers", "last", model="explained.keras")
    assert list(outputs(shown[0])) == ["predictions", "heatmap_second"]


@pytest.mark.sweep(cases=2)
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
def test_show_explains_a_class(folder, tmp_path, shown, words, options, keys):
    show(folder, tmp_path, "--layers", "last", *words)
    got = outputs(shown[0])
    assert list(got) == ["predictions", "explained_class", *(f"heatmap_second{key}" for key in keys)]
    for key, values in attach(small_cnn(), "last", **options).predict(pixels(folder) / 255, verbose=0).items():
        np.testing.assert_allclose(got[key], values, atol=1e-5)


@pytest.mark.parametrize("name", ["newt", "Newt", "2"])
def test_show_explains_a_class_by_its_name(folder, tmp_path, shown, name):
    words = ["--layers", "last", "--method", "gradcam", "--class", name, "--labels", str(folder / "three.txt")]
    show(folder, tmp_path, *words)
    assert outputs(shown[0])["explained_class"] == [2]
    assert texts(shown[0][0])[1].startswith("for newt")


def test_show_explains_a_class_by_the_name_of_its_folder(folder, tmp_path, shown):
    show(folder, tmp_path, "--layers", "last", "--method", "gradcam", "--class", "dog", images=("classes",))
    assert outputs(shown[0])["explained_class"].tolist() == [1, 1, 1]


def test_show_takes_folders(folder, tmp_path, shown, capsys):
    show(folder, tmp_path, "--layers", "last", images=("b.png", "pictures"))
    names = [photo.file.name for photo in shown[0].labeled]
    assert names == ["b.png", "1_2.png", "dog/2.png", "dog/10.png"]  # not the hidden one
    assert shown[0].class_names is None  # one folder, and three classes
    assert "(images: 4, layers: 1)" in capsys.readouterr().out


def test_show_names_the_two_classes_of_a_single_score(folder, tmp_path, shown):
    image = keras.Input((12, 12, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="maps")(image))
    keras.Model(image, layers.Dense(1, activation="sigmoid")(pooled)).save(tmp_path / "binary.keras")
    words = ["--layers", "last", "--method", "gradcam", "--class", "dog", "--labels", str(folder / "two.txt")]
    show(folder, tmp_path, *words, model=tmp_path / "binary.keras")
    assert outputs(shown[0])["explained_class"] == [1]
    assert texts(shown[0][0])[0].split("\n")[1].split()[0] in ("cat", "dog")


def test_show_names_the_classes_of_one_of_several_outputs(folder, tmp_path, shown):
    image = keras.Input((12, 12, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="maps")(image))
    heads = [layers.Dense(2, name="kind")(pooled), layers.Dense(3, name="animal")(pooled)]
    keras.Model(image, heads).save(tmp_path / "two.keras")
    words = ["--layers", "last", "--method", "gradcam", "--output", "animal", "--labels", str(folder / "three.txt")]
    show(folder, tmp_path, *words, "--class", "newt", model=tmp_path / "two.keras")
    got = outputs(shown[0])
    assert got["explained_class"] == [2]
    predicted = NAMES[got["animal"][0].argmax()]
    assert texts(shown[0][0])[0].startswith(f"a.png\n{predicted} ")


def test_show_on_a_dark_background(folder, tmp_path):
    show(folder, tmp_path, "--background", "dark")
    assert opened(tmp_path / "out.png").getpixel((0, 0)) == (20, 23, 28, 255)


def test_show_writes_pages(folder, tmp_path, capsys):
    out = tmp_path / "out.png"
    images = [str(folder / "a.png")] * 60
    assert main(["show", str(folder / "model.keras"), *images, "--layers", "last", "-o", str(out)]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"out_{number}.png" for number in range(1, len(names) + 1)]
    assert len(names) > 2
    for name in names[:-1]:
        width, height = opened(tmp_path / name).size
        assert 0.5 < width / height < 2
    assert (
        f"Wrote {tmp_path / 'out_1.png'} to {tmp_path / names[-1]} (images: 60, layers: 1)" in capsys.readouterr().out
    )


def test_show_counts_a_layer_once_for_all_classes(folder, tmp_path, capsys):
    words = ["show", str(folder / "model.keras"), str(folder / "a.png"), "--layers", "last", "--method", "gradcam"]
    assert main([*words, "--class", "top3", "-o", str(tmp_path / "out.png")]) == 0
    assert "(images: 1, layers: 1)" in capsys.readouterr().out


def test_a_folder_that_names_no_class_is_no_class(folder, capsys):
    words = ["show", str(folder / "model.keras"), str(folder / "pictures"), "--method", "gradcam", "--class", "dog"]
    assert main([*words, "--layers", "last"]) == 2
    assert "or the name of a class, with --labels FILE" in capsys.readouterr().err
