"""explain_photos: which pixels are drawn over which photo, what is written above it, and what its pages look like."""

from __future__ import annotations

import base64
import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import keras
import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.image import BboxImage
from PIL import Image, ImageOps
from support.small_cnn import small_cnn

from visualcnn_tf._attach import attach
from visualcnn_tf.errors import (
    ImageReadError,
    InputShapeError,
    InvalidArgumentError,
    InvalidTypeError,
    MissingExtraError,
)
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.render.colormaps import color_table
from visualcnn_tf.viz.explained_photo import drawn, read_ahead
from visualcnn_tf.viz.laid_over import laid_over
from visualcnn_tf.viz.photo_classes import names_without_labels, truths_of_folders
from visualcnn_tf.viz.photo_files import photo_files
from visualcnn_tf.viz.photos import explain_photos

KEY = "heatmap_second"
RNG = np.random.default_rng(0)


def write(path: Path, pixels: np.ndarray, orientation: int | None = None) -> Path:
    """Write an image without loss; a JPEG with an orientation in its Exif data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x112] = orientation
    Image.fromarray(pixels).save(path, quality=100, subsampling=0, exif=exif)
    return path


def nearest(pixels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Enlarge an image to a height and width by repeating its pixels."""
    rows, columns = ((np.arange(new) + 0.5) * old // new for new, old in zip(size[:2], pixels.shape[:2], strict=True))
    return pixels[rows.astype(int)[:, None], columns.astype(int)]


def noise(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return small_cnn()


@pytest.fixture(scope="module")
def explained(model):
    return attach(model, "last", method="gradcam", pixels="0..1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photos in a folder for each class."""
    folder = tmp_path_factory.mktemp("photos")
    for name, size in {
        "cat/1.png": (12, 12),
        "cat/2.png": (30, 40),
        "dog/1.png": (60, 20),
        "newt/9.png": (12, 24),
    }.items():
        write(folder / name, noise(*size))
    return folder


def canvas(page):
    """The picture that lies under the texts of a page."""
    [image] = [each for each in page.get_children() if isinstance(each, BboxImage)]
    return np.asarray(image.get_array())[..., :3].astype(int)


def found(page, picture, tolerance=0):
    """Where a picture is in a page, as row and column."""
    return places(canvas(page), picture, tolerance)


def places(whole, picture, tolerance=0):
    height, width = picture.shape[:2]
    rows, columns = len(whole) - height + 1, whole.shape[1] - width + 1
    fits = np.ones((rows, columns), bool)
    for y, x in [(0, 0), (height // 2, width // 2), (height // 2, width // 3)]:  # a few pixels, before all of them
        fits &= (abs(whole[y : y + rows, x : x + columns] - picture[y, x]) <= tolerance).all(-1)
    candidates = [tuple(place) for place in np.argwhere(fits)]
    return [(y, x) for y, x in candidates if (abs(whole[y : y + height, x : x + width] - picture) <= tolerance).all()]


def texts(page):
    """The titles of a page, without the numbers beside the color bar."""
    return [text.get_text() for text in page.texts[:-3]]


def blended(photo, heatmap, alpha, colormap="turbo"):
    """The oracle of an overlay, in float64."""
    h = np.nan_to_num(heatmap.astype(np.float64))[..., None]
    color = color_table(colormap)[np.round(h[..., 0] * 255).astype(int)]
    mixed = photo + alpha * h * (color - photo.astype(np.float64))
    return np.where(np.isnan(heatmap)[..., None], 0.35 * mixed, mixed)


# pixels ------------------------------------------------------------------------------------------------------------


def test_predictions_and_heatmaps_are_those_of_the_fitted_photo(model, explained, tmp_path):
    pixels = noise(12, 12)
    [photo] = explain_photos(explained, write(tmp_path / "a.png", pixels)).photos()
    np.testing.assert_allclose(photo.outputs["predictions"], model.predict(pixels[None] / 255, verbose=0)[0], atol=1e-6)
    expected = explained.predict(pixels[None].astype(np.float32) / 255, verbose=0)
    np.testing.assert_allclose(photo.heatmap(KEY), expected[KEY][0], atol=1e-5)
    assert photo.size == (12, 12)
    assert repr(photo).endswith("a.png, 12×12, with predictions, explained_class, heatmap_second>")


def test_what_a_crop_does_not_see_is_missing_from_the_heatmap(explained, tmp_path):
    pixels = noise(12, 20)
    path = write(tmp_path / "a.png", pixels)
    [photo] = explain_photos(explained, path, pixels=Pixels("0..1", fit="crop")).photos()
    expected = explained.predict(pixels[None, :, 4:16].astype(np.float32) / 255, verbose=0)
    np.testing.assert_allclose(photo.outputs["predictions"], expected["predictions"][0], atol=1e-6)
    heatmap = photo.heatmap(KEY)
    assert np.isnan(heatmap[:, :4]).all()
    assert np.isnan(heatmap[:, 16:]).all()
    np.testing.assert_allclose(heatmap[:, 4:16], expected[KEY][0], atol=1e-5)


def test_the_borders_that_padding_adds_are_not_drawn(explained, tmp_path):
    pixels = noise(6, 12)
    path = write(tmp_path / "a.png", pixels)
    [photo] = explain_photos(explained, path, pixels=Pixels("0..1", fit="pad")).photos()
    padded = np.pad(pixels, [(3, 3), (0, 0), (0, 0)])
    expected = explained.predict(padded[None].astype(np.float32) / 255, verbose=0)
    np.testing.assert_allclose(photo.heatmap(KEY), expected[KEY][0, 3:9], atol=1e-5)


@pytest.mark.sweep(cases=3)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_stand_upright(explained, tmp_path, orientation):
    stored = np.kron(RNG.integers(0, 256, (3, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    path = write(tmp_path / "a.jpg", stored, orientation)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    pages = explain_photos(explained, path)
    [photo] = pages.photos()
    assert photo.size == upright.shape[:2] == ((24, 48) if orientation < 5 else (48, 24))
    assert abs(photo.overlay(KEY, alpha=0).astype(int) - upright).max() <= 2
    assert abs(nearest(upright, photo.picture.shape).astype(int) - photo.picture).max() <= 2
    assert found(pages[0], photo.picture)


@pytest.mark.parametrize(("alpha", "colormap"), [(0.6, "turbo"), (1, "gray"), (0, "viridis")])
def test_the_heatmap_is_laid_over_the_photo_at_its_own_size(explained, tmp_path, alpha, colormap):
    pixels = noise(30, 70)
    path = write(tmp_path / "a.png", pixels)
    [photo] = explain_photos(explained, path).photos()
    expected = blended(pixels, photo.heatmap(KEY), alpha, colormap)
    assert abs(photo.overlay(KEY, alpha, colormap) - expected).max() <= 0.51
    assert photo.heatmap(KEY).shape == (30, 70)


def test_a_page_shows_the_photo_and_the_overlay(explained, tmp_path):
    pixels = noise(12, 20)
    pages = explain_photos(explained, write(tmp_path / "a.png", pixels), pixels=Pixels("0..1", fit="crop"), alpha=0.8)
    [photo] = pages.photos()
    enlarged = nearest(pixels, (240, 400))
    [(top, left)] = found(pages[0], enlarged)
    expected = blended(enlarged, photo.heatmap(KEY, (240, 400)), 0.8)
    [(same, right)] = found(pages[0], expected, 0.51)
    assert same == top
    assert right > left + 400
    unseen = canvas(pages[0])[top : top + 240, right : right + 80]
    assert (unseen <= 0.36 * enlarged[:, :80] + 1).all(), "what was not seen is dark"


@pytest.mark.parametrize("dpi", [40, 55])
def test_a_file_holds_the_pictures_of_a_page(explained, tmp_path, dpi):
    pixels = noise(12, 20)
    pages = explain_photos(explained, write(tmp_path / "a.png", pixels))
    [file] = pages.save(tmp_path / "page.png", dpi=dpi)
    with Image.open(file) as saved:
        whole = np.asarray(saved.convert("RGB")).astype(int)
    enlarged = nearest(pixels, (round(4 * dpi * 12 / 20), 4 * dpi))  # a panel has four inches
    [(top, left)] = places(whole, enlarged)
    assert 0.2 * dpi < top < dpi
    page = pages[0]
    page.savefig(content := BytesIO(), dpi=dpi)  # a page of 100 pixels an inch, reduced
    with Image.open(content) as saved:
        reduced = np.asarray(saved.convert("RGB")).astype(int)
    part = (slice(top, top + enlarged.shape[0]), slice(left, left + enlarged.shape[1]))
    assert abs(reduced[part] - whole[part]).mean() < 30
    assert abs(reduced[part][::-1] - whole[part]).mean() > 50


def test_no_evidence_leaves_the_photo_as_it_is(tmp_path):
    image = keras.Input((12, 12, 3))
    maps = keras.layers.Conv2D(2, 3, kernel_initializer="zeros", name="maps")(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)))
    pixels = noise(12, 12)
    pages = explain_photos(model, write(tmp_path / "a.png", pixels), pixels="0..1")
    assert len(found(pages[0], nearest(pixels, (400, 400)))) == 2
    assert texts(pages[0])[1].endswith("all zeros")


def test_heatmaps_by_themselves_have_the_photos_proportions(explained, tmp_path):
    path = write(tmp_path / "a.png", noise(12, 20))
    pages = explain_photos(explained, path, pixels=Pixels("0..1", fit="crop"), alpha=None, colormap="viridis")
    [photo] = pages.photos()
    heatmap = photo.heatmap(KEY, (240, 400))
    colors = color_table("viridis")[np.round(np.nan_to_num(heatmap) * 255).astype(int)]
    expected = np.where(np.isnan(heatmap)[..., None], 255, colors)
    assert np.isnan(heatmap).any()
    assert found(pages[0], expected)


def test_uint8_heatmaps_and_those_of_their_layers_size(model, tmp_path):
    path = write(tmp_path / "a.png", noise(12, 12))
    [fine] = explain_photos(attach(model, "last", pixels="0..1"), path).photos()
    small = attach(model, "last", pixels="0..1", heatmap_dtype="uint8", size=None)
    [coarse] = explain_photos(small, path).photos()
    assert coarse.outputs[KEY].shape == (4, 4)
    assert coarse.heatmap(KEY).shape == (12, 12)
    assert np.corrcoef(coarse.heatmap(KEY).ravel(), fine.heatmap(KEY).ravel())[0, 1] > 0.95


def test_a_gray_model(tmp_path):
    gray = small_cnn(channels=1)
    path = write(tmp_path / "a.png", np.repeat(noise(12, 12)[..., :1], 3, -1))
    pages = explain_photos(gray, path, pixels="0..1")
    [photo] = pages.photos()
    pixels = np.asarray(Image.open(path).convert("L"))[None, ..., None]
    np.testing.assert_allclose(photo.outputs["predictions"], gray.predict(pixels / 255, verbose=0)[0], atol=1e-5)
    assert found(pages[0], nearest(pixels[0], (400, 400)).repeat(3, -1))


def test_batches_change_nothing(explained, folder):
    alone = [photo.outputs for photo in explain_photos(explained, folder, batch_size=1).photos()]
    together = [photo.outputs for photo in explain_photos(explained, folder, batch_size=3).photos()]
    for one, other in zip(alone, together, strict=True):
        for key in one:
            np.testing.assert_allclose(one[key], other[key], atol=1e-5)


def test_a_model_of_any_size_takes_the_size_of_the_first_photo_up_to_a_limit(tmp_path):
    open_size = small_cnn(size=None)
    small = write(tmp_path / "a.png", noise(20, 30))
    large = write(tmp_path / "b.png", noise(600, 1200))
    assert explain_photos(open_size, [small, large], pixels="0..1").explainer.fitting.size == (20, 30)
    assert explain_photos(open_size, large, pixels="0..1").explainer.fitting.size == (256, 512)
    pixels = Pixels("0..1", size=(40, 50))
    assert explain_photos(open_size, large, pixels=pixels).explainer.fitting.size == (40, 50)


# overlays and pictures ---------------------------------------------------------------------------------------------


def test_large_photos_are_blended_in_strips():
    photo, heatmap = noise(50, 40), RNG.random((50, 40))
    heatmap[:, :7] = np.nan
    whole = laid_over(photo, [heatmap], 0.7, "turbo")[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("visualcnn_tf.viz.laid_over._STRIP", 200)
        np.testing.assert_array_equal(laid_over(photo, [heatmap], 0.7, "turbo")[0], whole)
    assert abs(whole - blended(photo, heatmap.astype(np.float32), 0.7)).max() <= 0.51


def test_drawn_photos_are_reduced_and_the_pixels_of_tiny_ones_stay_visible():
    ramp = tf.constant(np.broadcast_to(np.linspace(0, 255, 900).astype(np.uint8)[:, None], (600, 900, 1)))
    reduced = drawn(ramp, 300)
    assert reduced.shape == (200, 300, 1)
    assert reduced.dtype == np.uint8
    np.testing.assert_allclose(reduced[0, :, 0], np.linspace(0, 255, 300), atol=2)
    digit = noise(8, 10)
    np.testing.assert_array_equal(drawn(tf.constant(digit), 300), digit.repeat(30, 0).repeat(30, 1))
    fitting = noise(200, 300)
    np.testing.assert_array_equal(drawn(tf.constant(fitting), 300), fitting)
    assert drawn(tf.constant(noise(1000, 2)), 50).shape == (50, 1, 3)


# titles ------------------------------------------------------------------------------------------------------------


def test_titles_tell_names_classes_and_probabilities(model, tmp_path):
    path = write(tmp_path / "$my$ photo.png", noise(12, 12))
    explained = attach(model, "last", method="gradcam", target="top2", pixels="0..1")
    pages = explain_photos(explained, path, class_names=["cat", "dog", "newt"])
    [photo] = pages.photos()
    scores = photo.outputs["predictions"]
    first, second = np.argsort(-scores)[:2]
    names = ["cat", "dog", "newt"]
    assert texts(pages[0]) == [
        f"$my$ photo.png\n{names[first]} {scores[first]:.1%}",
        f"for {names[first]}",
        f"for {names[second]} {scores[second]:.1%}",
    ]


def test_titles_tell_layers_where_they_are_several(model, tmp_path):
    path = write(tmp_path / "a.png", noise(12, 12))
    pages = explain_photos(attach(model, "stages", pixels="0..1"), path)
    assert [title.split("\n")[0] for title in texts(pages[0])] == ["a.png", "first", "second"]
    pages = explain_photos(attach(model, "stages", method="gradcam", pixels="0..1"), path)
    index = next(pages.photos()).outputs["explained_class"]
    assert texts(pages[0])[1] == f"first\n12×12\nfor class {index}"


def test_wrong_predictions_are_marked(explained, folder):
    pages = explain_photos(explained, folder)
    assert pages.class_names == ["cat", "dog", "newt"]
    photos = list(pages.photos())
    truths = [0, 0, 1, 2]
    titles = [text for text in pages[0].texts if ".png" in text.get_text()]
    assert [text.get_text().split("\n")[0] for text in titles] == ["cat/1.png", "cat/2.png", "dog/1.png", "newt/9.png"]
    wrong = [photo.outputs["predictions"].argmax() != truth for photo, truth in zip(photos, truths, strict=True)]
    assert any(wrong)
    red = np.round(np.multiply(matplotlib.colors.to_rgb("firebrick"), 255))
    for text, photo, is_wrong, truth in zip(titles, photos, wrong, truths, strict=True):
        assert (f"\ntrue: {pages.class_names[truth]}" in text.get_text()) == is_wrong
        assert (text.get_color() == "firebrick") == is_wrong
        (top, left), *_ = found(pages[0], photo.picture)
        assert (canvas(pages[0])[top - 1, left - 1] == red).all() == is_wrong


def test_labels_of_one_s_own(explained, folder):
    files = [folder / "cat" / "1.png", folder / "dog" / "1.png"]
    index = int(next(explain_photos(explained, files).photos()).outputs["predictions"].argmax())
    names = ["a", "b", "c"]
    right = explain_photos(explained, files, labels=[names[index], "a"], class_names=names)
    assert "true" not in texts(right[0])[0]
    assert right[0].texts[0].get_color() == "black"
    wrong = explain_photos(explained, files, labels=[(index + 1) % 3, 0])
    assert texts(wrong[0])[0].endswith(f"true: class {(index + 1) % 3}")


def test_the_color_bar_has_the_color_map(explained, folder):
    page = explain_photos(explained, folder / "cat", colormap="viridis", background="dark")[0]
    assert [text.get_text() for text in page.texts[-3:]] == ["0.0", "0.5", "1.0"]
    column = canvas(page)[:, -44]  # the bar ends 38 pixels from the edge
    bar = np.flatnonzero((column != [20, 23, 28]).any(-1))
    table = color_table("viridis")
    np.testing.assert_array_equal(column[[bar[0], bar[-1]]], table[[-1, 0]])


def test_long_names_are_shortened_at_their_beginning(tmp_path):
    write(tmp_path / "a_folder_of_many_letters" / "IMG_2026_11_29_123456.png", noise(4, 4))
    [file] = photo_files(tmp_path)
    assert len(file.name) == 30
    assert file.name.startswith("…")
    assert file.name.endswith("/IMG_2026_11_29_123456.png")


# classes -----------------------------------------------------------------------------------------------------------


def folders(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).mkdir(parents=True)
    return path


def test_subfolders_are_numbered_as_keras_does(tmp_path):
    ten = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    for name in ("10", "2", "1"):
        write(tmp_path / name / "a.png", noise(4, 4))
    (tmp_path / ".hidden").mkdir()
    dataset = keras.utils.image_dataset_from_directory(tmp_path, verbose=False)
    assert names_without_labels(ten, [tmp_path]) == dataset.class_names == ["1", "10", "2"]
    assert truths_of_folders(photo_files(tmp_path), dataset.class_names) == [0, 2, 1]  # files are sorted by number


def test_subfolders_that_are_no_classes_name_none(tmp_path):
    four = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    assert names_without_labels(four, [folders(tmp_path, "a", "b")]) is None


def test_two_subfolders_name_the_classes_of_a_single_score(tmp_path):
    one = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    assert names_without_labels(one, [folders(tmp_path, "no", "yes")]) == ["no", "yes"]


def test_true_classes_are_found_among_the_names(tmp_path):
    for name in ("tiger_cat", "Other", "crane"):
        write(tmp_path / name / "a.png", noise(4, 4))
    write(tmp_path / "b.png", noise(4, 4))
    names = ["dog", "Tiger cat", "crane", "crane"]  # ImageNet has two kinds of cranes
    files = photo_files(tmp_path)
    assert [file.name for file in files] == ["Other/a.png", "b.png", "crane/a.png", "tiger_cat/a.png"]
    assert truths_of_folders(files, names) == [None, None, None, 1]


def test_a_classifier_of_keras_hub_names_the_classes_of_imagenet(monkeypatch):
    class Classifier(keras.Model):
        outputs = (SimpleNamespace(shape=(None, 1000)),)

    def decode(scores, top):
        return [[(f"class {index}", scores[0][index]) for index in np.argsort(-scores[0])[:top]]]

    hub = SimpleNamespace(
        models=SimpleNamespace(ImageClassifier=Classifier), utils=SimpleNamespace(decode_imagenet_predictions=decode)
    )
    monkeypatch.setitem(sys.modules, "keras_hub", hub)
    assert names_without_labels(Classifier(), []) == [f"class {index}" for index in range(1000)]
    assert names_without_labels(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1000)]), []) is None


def test_a_class_is_explained_by_the_name_of_its_folder(model, folder):
    pages = explain_photos(model, folder, target="dog", pixels="0..1")
    assert [int(photo.outputs["explained_class"]) for photo in pages.photos()] == [1] * 4


# pages -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_pages(monkeypatch):
    """Pages of two photos."""
    monkeypatch.setattr("visualcnn_tf.viz.grid._PAGE_HEIGHT", 3.0)
    monkeypatch.setattr("visualcnn_tf.viz.grid._PAGE_WIDTH", 10.0)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> list[Path]:
    """Fifty photos of one size, with links instead of copies."""
    folder = tmp_path_factory.mktemp("many")
    first = write(folder / "0.png", noise(12, 16))
    return [first, *(link(folder / f"{number}.png", first) for number in range(1, 50))]


def link(path: Path, target: Path) -> Path:
    path.symlink_to(target)
    return path


def test_many_photos_break_into_pages_of_a_sensible_shape(explained, many):
    pages = explain_photos(explained, many)
    assert len(pages) == 3
    drawn_pages = list(pages)
    assert len(drawn_pages) == 3
    for page in drawn_pages[:-1]:
        width, height = page.get_size_inches()
        assert height < 13
        assert 0.5 < width / height < 2
    titles = [text.split("\n")[0] for page in drawn_pages for text in texts(page) if ".png" in text]
    assert titles == [path.name for path in many]
    alone = pages[-1]
    np.testing.assert_array_equal(alone.get_size_inches(), drawn_pages[-1].get_size_inches())
    assert texts(alone) == texts(drawn_pages[-1])
    assert [texts(page) for page in pages[1:]] == [texts(page) for page in drawn_pages[1:]]
    assert repr(pages) == "<PhotoPages: 50 photos on 3 pages>"


def test_few_photos_are_large(explained, many):
    few, more = (explain_photos(explained, many[:count]) for count in (1, 8))
    assert next(few.photos()).picture.shape == (300, 400, 3)
    assert 200 <= max(next(more.photos()).picture.shape) < 400


def test_photos_are_read_when_their_page_is_asked_for(explained, many, monkeypatch):
    from visualcnn_tf.viz import explained_photo

    seen = []
    original = explained_photo.read_image
    monkeypatch.setattr(explained_photo, "read_image", lambda path, n: seen.append(path) or original(path, n))
    pages = explain_photos(explained, many, batch_size=4)
    assert not seen
    assert pages[-1] is not None
    assert set(seen) < set(many[20:])
    seen.clear()
    pages_in_order = iter(pages)
    next(pages_in_order)
    pages_in_order.close()
    assert len(seen) <= pages._page.images + 2 * 4, "no more than a batch ahead"


def test_files_are_read_ahead_in_order():
    files = [Path(str(number)) for number in range(20)]
    assert list(read_ahead(lambda file: int(file.name), files, 3)) == list(range(20))
    assert list(read_ahead(lambda file: int(file.name), files[:2], 3)) == [0, 1]


def test_photos_with_many_heatmaps_need_several_pages_each(model, many, small_pages):
    pages = explain_photos(attach(model, "conv", pixels="0..1"), many[:2], max_columns=1)
    drawn_pages = list(pages)
    assert len(pages) == len(drawn_pages) == 6
    names = [texts(page)[1].split("\n")[0] for page in drawn_pages]
    assert names == ["first", "pool", "second"] * 2
    assert texts(pages[4]) == texts(drawn_pages[4])


def test_pages_are_saved_one_by_one(explained, many, small_pages, tmp_path):
    pages = explain_photos(explained, many[:5])
    paths = pages.save(tmp_path / "out.png", dpi=40)
    assert [path.name for path in paths] == [f"out_{number}.png" for number in (1, 2, 3)]
    width, height = pages[0].get_size_inches()
    with Image.open(paths[0]) as picture:
        np.testing.assert_allclose(picture.size, (40 * width, 40 * height), atol=2)
    assert explain_photos(explained, many[0]).save(str(tmp_path / "one.pdf")) == [tmp_path / "one.pdf"]
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")


def test_a_notebook_shows_the_first_pages(explained, many, small_pages, monkeypatch):
    monkeypatch.setattr("visualcnn_tf.viz.photo_pages._SHOWN", 2)
    html = explain_photos(explained, many[:5])._repr_html_()
    pictures = html.split('src="data:image/png;base64,')[1:]
    assert len(pictures) == 2
    assert all(Image.open(BytesIO(base64.b64decode(one.split('"')[0]))).width > 500 for one in pictures)
    assert "<p>1 more pages" in html


# mistakes ----------------------------------------------------------------------------------------------------------


def test_arguments_that_do_not_fit(model, explained, folder, tmp_path):
    def fails(error, message, *args, **options):
        with pytest.raises(error, match=message):
            explain_photos(*args, **options)

    photo = folder / "cat" / "1.png"
    fails(ImageReadError, "There is no image file or folder `absent.png`", explained, "absent.png")
    fails(ImageReadError, "There is no image file in", explained, tmp_path)
    fails(InvalidTypeError, "`photos` must be a path", explained, 5)
    fails(InvalidTypeError, "`photos` must be a path", explained, [np.zeros((4, 4, 3))])
    fails(InvalidArgumentError, "`photos` must be a file, a folder, or a list of at least one", explained, [])
    fails(InvalidArgumentError, "`pixels` must be given, because the model's layers", model, photo)
    fails(InvalidArgumentError, "`pixels` must be '0..1' or left out", explained, photo, pixels="-1..1")
    fails(InvalidArgumentError, "`layers` must be None for a model that is explained", explained, photo, layers="last")
    fails(InvalidArgumentError, r"`class_names` must be one for each class \(3\)", explained, photo, class_names=["a"])
    fails(InvalidArgumentError, r"`labels` must be one for each image \(1\)", explained, photo, labels=[1, 2])
    fails(InvalidArgumentError, "`alpha` must be a number from 0", explained, photo, alpha=2)
    fails(InvalidArgumentError, "`colormap` must be one of", explained, photo, colormap="hot")
    fails(InvalidArgumentError, "`background` must be one of", explained, photo, background="red")
    fails(InvalidArgumentError, "`batch_size` must be a whole number", explained, photo, batch_size=0)
    fails(InvalidArgumentError, "attached with `normalize`", attach(model, normalize=None, pixels="0..1"), photo)
    asked = attach(model, "last", method="gradcam", target="input", pixels="0..1")
    fails(InvalidArgumentError, "one that needs no class index with the images", asked, photo)
    table = keras.Sequential([keras.Input((8, 4)), keras.layers.Conv1D(2, 3), keras.layers.GlobalMaxPooling1D()])
    fails(InputShapeError, "must take one image", attach(table, method="mean"), photo)


def test_a_broken_photo_is_named(explained, tmp_path):
    write(tmp_path / "a.png", noise(4, 4))
    (tmp_path / "b.png").write_text("no picture")
    pages = explain_photos(explained, tmp_path)
    with pytest.raises(ImageReadError, match=r"b\.png` can't be read as an image"):
        list(pages)


def test_pages_replace_no_photo(explained, folder):
    pages = explain_photos(explained, folder)
    with pytest.raises(InvalidArgumentError, match=r"It would replace `.*cat/1\.png`"):
        pages.save(folder / "cat" / "1.png")
    with pytest.raises(InvalidArgumentError, match="`path` must be a picture file"):
        pages.save(folder / "pages.xyz")


def test_an_unknown_heatmap_is_told(explained, folder):
    photo = next(explain_photos(explained, folder).photos())
    with pytest.raises(InvalidArgumentError, match="Did you mean 'heatmap_second'"):
        photo.heatmap("heatmap_secnod")


def test_without_matplotlib_the_extra_is_named(explained, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r'pip install "visualcnn-tf\[plot\]"'):
        explain_photos(explained, folder)
