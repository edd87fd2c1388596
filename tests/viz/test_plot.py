"""plot_heatmaps: what is drawn, what is written beside it, and that nothing is cut off."""

import sys
from io import BytesIO
from itertools import combinations

import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg

from visualcnn_tf.errors import InvalidArgumentError, MissingExtraError
from visualcnn_tf.methods import registry as methods
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.render.colormaps import color_table
from visualcnn_tf.viz import gallery
from visualcnn_tf.viz.figures import plot_heatmaps, plot_pages
from visualcnn_tf.viz.grid import Row
from visualcnn_tf.viz.look import Look
from visualcnn_tf.viz.short_paths import short_paths

RNG = np.random.default_rng(0)
PREDICTIONS = np.array([[0.1, 0.7, 0.2], [0.25, 0.25, 0.5]])


def outputs_of(count=2, size=(6, 8), names=("a", "b"), predictions=PREDICTIONS):
    heatmaps = {f"heatmap_{name}": RNG.random((count, *size)) for name in names}
    return {"predictions": predictions[:count], **heatmaps}


def panels(figure):
    """All panels but the color bar, in the order of drawing: an image, its heatmaps, the next image."""
    return [ax for ax in figure.axes if ax.get_label() != "color bar"]


def pixels(ax):
    return np.asarray(ax.images[0].get_array())


def test_each_row_is_an_image_and_its_heatmaps():
    images = RNG.random((2, 6, 8, 3))
    outputs = outputs_of()
    axes = panels(plot_heatmaps(images, outputs))
    assert len(axes) == 6
    for i in range(2):
        image, a, b = axes[3 * i : 3 * i + 3]
        np.testing.assert_array_equal(pixels(image), images[i])
        np.testing.assert_array_equal(pixels(a), outputs["heatmap_a"][i])
        np.testing.assert_array_equal(pixels(b), outputs["heatmap_b"][i])


def test_heatmaps_share_one_scale_from_0_to_1():
    faint = {"heatmap_a": np.full((1, 4, 4), 0.25)}
    figure = plot_heatmaps(np.zeros((1, 4, 4)), faint)
    assert panels(figure)[1].images[0].get_clim() == (0, 1)
    assert figure.axes[-1].get_label() == "color bar"
    assert [tick.get_text() for tick in figure.axes[-1].get_yticklabels()] == ["0.0", "0.5", "1.0"]


def test_uint8_heatmaps_mean_0_to_255():
    heatmap = np.array([[[0, 51], [102, 255]]], np.uint8)
    axes = panels(plot_heatmaps(np.zeros((1, 2, 2)), {"heatmap_a": heatmap}))
    np.testing.assert_allclose(pixels(axes[1]), [[0, 0.2], [0.4, 1]])


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (np.array([[0, 255]], np.uint8), [[0, 1]]),
        (np.array([[0.25, 0.5]]), [[0.25, 0.5]]),
        (np.array([[-1.0, 1.0]]), [[0, 1]]),
        (np.array([[0.0, 300.0]]), [[0, 1]]),
        (np.array([[7.0, 7.0]]), [[0, 0]]),
    ],
    ids=["uint8", "unit range", "-1 to 1", "beyond 255", "constant"],
)
def test_gray_images_of_any_range(image, shown):
    axes = panels(plot_heatmaps(image[None], {"heatmap_a": np.zeros((1, 1, 2))}))
    np.testing.assert_allclose(pixels(axes[0]), np.repeat(np.array(shown)[..., None], 3, -1))


@pytest.mark.parametrize("width", [80, 200, 10])
def test_a_heatmap_of_its_own_size_covers_the_image(width):
    figure = plot_heatmaps(np.zeros((1, 20, width)), {"heatmap_a": np.zeros((1, 7, 7))}, labels=[3])
    figure.draw_without_rendering()
    for ax in panels(figure):
        box = ax.get_window_extent()
        assert box.width / box.height == pytest.approx(width / 20, rel=0.02)


def test_titles_tell_layer_and_size():
    axes = panels(plot_heatmaps(np.zeros((2, 6, 8)), outputs_of()))
    assert [ax.get_title() for ax in axes] == ["image", "a\n6×8", "b\n6×8", "", "", ""]


def test_taps_tell_path_and_size_of_the_layer():
    taps = [
        Tap("net/a", "heatmap_a", (None, 3, 4, 16), methods.get("deviation")),
        Tap("net/b", "heatmap_b", (None, 16, None, None), methods.get("deviation"), data_format="channels_first"),
    ]
    axes = panels(plot_heatmaps(np.zeros((1, 6, 8)), outputs_of(1), taps=taps))
    assert [ax.get_title() for ax in axes] == ["image", "net/a\n3×4", "net/b\n?×?"]


def test_long_layer_names_are_broken_where_they_have_joints():
    outputs = {"heatmap_block_13_expand_depthwise_relu": np.ones((1, 4, 4)), "heatmap": np.ones((1, 4, 4))}
    axes = panels(plot_heatmaps(np.zeros((1, 4, 4)), outputs))
    assert axes[1].get_title() == "block_13_expand_\ndepthwise_relu\n4×4"
    assert axes[2].get_title() == "all layers\n4×4"


def explaining(key, method="gradcam", target_index=0):
    return Tap("conv", key, (None, 4, 5, 7), methods.get(method), target_index)


def titles_of(figure):
    return [ax.get_title() for ax in panels(figure)]


def test_titles_tell_the_class_that_each_heatmap_explains():
    outputs = {**outputs_of(names=("conv_top1", "conv_top2")), "explained_class": np.array([[1, 0], [2, -1]])}
    taps = [explaining("heatmap_conv_top1"), explaining("heatmap_conv_top2", target_index=1)]
    drawn = plot_heatmaps(np.zeros((2, 6, 8)), outputs, taps=taps, class_names=["cat", "dog", "newt"])
    titles = ["image", "conv\n4×5\nfor dog", "conv\n4×5\nfor cat\n10.0%"]
    assert titles_of(drawn) == [*titles, "image", "conv\n4×5\nfor newt", "conv\n4×5\nno such class"]


def test_a_class_that_all_images_share_is_told_once():
    outputs = {**outputs_of(names=("conv",)), "explained_class": np.array([2, 2])}
    del outputs["predictions"]
    drawn = plot_heatmaps(np.zeros((2, 6, 8)), outputs, taps=[explaining("heatmap_conv")])
    assert titles_of(drawn) == ["image", "conv\n4×5\nfor class 2", "", ""]


def test_titles_tell_which_heatmaps_are_all_zeros():
    outputs = {**outputs_of(names=("conv",)), "explained_class": np.array([1, 2])}
    outputs["heatmap_conv"][1] = 0
    images = np.zeros((2, 6, 8))
    assert titles_of(plot_heatmaps(images, outputs)) == ["image", "conv\n6×8", "image", "conv\n6×8\nall zeros"]
    drawn = plot_heatmaps(images, outputs, taps=[explaining("heatmap_conv")])
    title = "conv\n4×5\nfor class "
    assert titles_of(drawn) == ["image", f"{title}1", "image", f"{title}2\nall zeros"]
    assert titles_of(plot_heatmaps(images, outputs, titles=["mine"])) == ["image", "mine", "", ""]
    both = plot_heatmaps(images, {"heatmap": np.zeros((2, 4, 4), np.uint8)})
    assert titles_of(both) == ["image", "all layers\n4×4\nall zeros", "", ""]


def test_methods_that_explain_no_class_have_none_in_their_titles():
    outputs = {**outputs_of(names=("a", "b")), "explained_class": np.array([1, 2])}
    taps = [explaining("heatmap_a", "deviation"), explaining("heatmap_b", "reciprocam")]
    drawn = plot_heatmaps(np.zeros((2, 6, 8)), outputs, taps=taps)
    first, second = "conv\ndeviation\n4×5", "conv\nreciprocam\n4×5\nfor class "
    assert titles_of(drawn) == ["image", first, second + "1", "image", first, second + "2"]


def test_the_score_of_a_class_that_is_not_predicted_is_told():
    outputs = {**outputs_of(names=("conv",)), "explained_class": np.array([2, 2])}
    drawn = plot_heatmaps(np.zeros((2, 6, 8)), outputs, taps=[explaining("heatmap_conv")])
    title = "conv\n4×5\nfor class 2"
    assert titles_of(drawn) == ["image", title + "\n20.0%", "image", title]


def test_the_score_of_the_predicted_class_stands_beside_the_image_alone():
    outputs = {**outputs_of(names=("conv",)), "explained_class": np.array([1, 2])}
    drawn = plot_heatmaps(np.zeros((2, 6, 8)), outputs, taps=[explaining("heatmap_conv")])
    assert titles_of(drawn) == ["image", "conv\n4×5\nfor class 1", "image", "conv\n4×5\nfor class 2"]
    assert panels(drawn)[0].get_ylabel() == "class 1\n70.0%"


def test_logits_are_told_as_they_are():
    outputs = {**outputs_of(names=("conv_top1", "conv_top2")), "explained_class": np.array([[1, 0], [2, 1]])}
    outputs["predictions"] = np.array([[-1.5, 12.25, 0], [0, 1, 2.5]])
    taps = [explaining("heatmap_conv_top1"), explaining("heatmap_conv_top2", target_index=1)]
    drawn = plot_heatmaps(np.zeros((2, 6, 8)), outputs, taps=taps)
    last_lines = [title.split("\n")[-1] for title in titles_of(drawn)]
    assert last_lines == ["image", "for class 1", "-1.5", "image", "for class 2", "1"]
    assert panels(drawn)[0].get_ylabel() == "class 1\n12.2"


def test_scores_of_another_output_than_the_explained_one_are_not_told():
    outputs = {**outputs_of(names=("conv",)), "explained_class": np.array([7, 7])}
    drawn = plot_heatmaps(np.zeros((2, 6, 8)), outputs, taps=[explaining("heatmap_conv")])
    assert titles_of(drawn)[1] == "conv\n4×5\nfor class 7"


# long paths ----------------------------------------------------------------------------------------------

BODY = "resnet/encoder/stage_"


@pytest.mark.parametrize(
    ("paths", "short"),
    [
        (["a/conv", "b/conv"], ["a/conv", "b/conv"]),
        ([f"{BODY}1/conv", f"{BODY}2/conv"], ["stage_1/conv", "stage_2/conv"]),
        ([f"{BODY}1/conv", f"{BODY}2/conv", "top_conv"], ["stage_1/conv", "stage_2/conv", "top_conv"]),
        ([f"{BODY}1/body/deep/conv", f"{BODY}2/body/deep/conv"], ["stage_1/…/conv", "stage_2/…/conv"]),
        ([f"{BODY}1/a/relu", f"{BODY}1/b/relu", f"{BODY}2/relu"], ["a/relu", "b/relu", "stage_2/relu"]),
        (
            [f"{BODY}{n}/{one}/{last}" for n in (1, 2) for one in "ab" for last in ("x", "y")],
            [f"stage_{n}/{one}/{last}" for n in (1, 2) for one in "ab" for last in ("x", "y")],
        ),
        (["a_backbone_with_a_long_name/out_relu"], ["out_relu"]),
        (["a_backbone_with_a_long_name/out", "out"], ["a_backbone_with_a_long_name/out", "out"]),
        (["block_13_expand_depthwise_relu"], ["block_13_expand_depthwise_relu"]),
        (["a_backbone_with_a_long_name/x", "a_backbone_with_a_long_name/x/y"], ["x", "y"]),
    ],
)
def test_long_paths_are_shortened_to_what_differs(paths, short):
    assert list(short_paths(paths, 18).values()) == short


def test_a_title_of_a_long_path_keeps_the_class():
    paths = [f"{BODY}{n}/body/conv" for n in (1, 2)]
    taps = [Tap(path, f"heatmap_{n}", (None, 4, 5, 7), methods.get("gradcam")) for n, path in enumerate(paths)]
    outputs = {**outputs_of(1, names=("0", "1")), "explained_class": np.array([1])}
    drawn = plot_heatmaps(np.zeros((1, 6, 8)), outputs, taps=taps, class_names=["cat", "dog", "newt"])
    assert titles_of(drawn) == ["image", "stage_1/…/conv\n4×5\nfor dog", "stage_2/…/conv\n4×5\nfor dog"]
    check_layout(drawn)


# -----------------------------------------------------------------------------------------------------------


def test_keys_and_titles_are_taken_as_given():
    outputs = outputs_of(1)
    axes = panels(plot_heatmaps(np.zeros((1, 6, 8)), outputs, keys=["heatmap_b"], titles=["second"]))
    assert [ax.get_title() for ax in axes] == ["image", "second"]
    np.testing.assert_array_equal(pixels(axes[1]), outputs["heatmap_b"][0])


def test_row_labels_tell_class_and_probability_and_what_was_misread():
    figure = plot_heatmaps(
        np.zeros((2, 6, 8)),
        outputs_of(),
        labels=[1, 0],
        class_names=["cat", "dog", "a newt of rather great length"],
    )
    right, wrong = (panels(figure)[i].yaxis.label for i in (0, 3))
    assert right.get_text() == "dog\n70.0%"
    assert right.get_color() == "black"
    assert wrong.get_text() == "a newt of rather great…\n50.0%\ntrue: cat"
    assert wrong.get_color() == "firebrick"


@pytest.mark.parametrize(
    ("predictions", "labels", "text"),
    [
        (np.array([[0.1, 0.9]]), None, "class 1\n90.0%"),
        (np.array([[-2.0, 3.25]]), None, "class 1\n3.25"),
        (np.array([[0.5]]), [0], "class 0"),
        (None, [4], "class 4"),
        (None, None, ""),
    ],
    ids=["probabilities", "logits", "one score", "no predictions", "nothing known"],
)
def test_row_labels_without_class_names(predictions, labels, text):
    outputs = {"heatmap_a": np.zeros((1, 4, 4))}
    if predictions is not None:
        outputs["predictions"] = predictions
    figure = plot_heatmaps(np.zeros((1, 4, 4)), outputs, labels=labels)
    assert panels(figure)[0].get_ylabel() == text


@pytest.mark.parametrize(
    "labels",
    [
        [1, 0],
        (1, 0),
        np.array([1, 0], np.uint8),
        np.array([[1], [0]]),
        np.array([1.0, 0.0]),
        [True, False],
        np.eye(3)[[1, 0]],
        [[0, 1, 0], [1, 0, 0]],
        np.eye(3, dtype=bool)[[1, 0]],
        ["dog", "cat"],
        np.array(["dog", "cat"]),
        np.array(["Dog", "CAT"], object),
        np.array([b"dog", b"cat"]),
    ],
    ids=lambda labels: f"{type(labels).__name__} of {np.asarray(labels).dtype} {np.shape(labels)}",
)
def test_labels_are_indices_one_hot_rows_or_names(labels):
    names = ["cat", "dog", "newt"]
    figure = plot_heatmaps(np.zeros((2, 6, 8)), outputs_of(), labels=labels, class_names=names)
    assert [panels(figure)[i].get_ylabel() for i in (0, 3)] == ["dog\n70.0%", "newt\n50.0%\ntrue: cat"]


def test_a_tensor_of_one_hot_labels():
    labels = tf.one_hot([1, 0], 3)
    assert (
        panels(plot_heatmaps(np.zeros((2, 6, 8)), outputs_of(), labels=labels))[3]
        .get_ylabel()
        .endswith("true: class 0")
    )


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ([[0.9]], "dog\n90.0%\ntrue: cat"),
        ([[0.25]], "cat\n75.0%"),
        ([[3.5]], "dog\n3.5\ntrue: cat"),
        ([[-2.5]], "cat\n2.5"),
    ],
)
def test_a_single_score_is_that_of_the_second_of_two_classes(scores, text):
    outputs = {"heatmap_a": np.zeros((1, 4, 4)), "predictions": np.array(scores)}
    figure = plot_heatmaps(np.zeros((1, 4, 4)), outputs, class_names=["cat", "dog"], labels=["cat"])
    assert panels(figure)[0].get_ylabel() == text


LONG = ["a_rather_long_layer_name", "b"]


def check_layout(figure):
    """Nothing is clipped and nothing overlaps."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [ax.get_tightbbox(renderer) for ax in figure.axes]
    width, height = figure.canvas.get_width_height()
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    for a, b in combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or down <= 1


@pytest.mark.parametrize(
    ("size", "names"),
    [
        ((28, 28), ["conv"]),
        ((20, 160), LONG),
        ((160, 20), LONG),
        ((28, 28), [f"block_{i}_expand_depthwise_relu" for i in range(59)]),
    ],
    ids=["small", "wide", "tall", "sixty columns"],
)
def test_nothing_is_clipped_and_nothing_overlaps(size, names):
    figure = plot_heatmaps(
        np.zeros((2, *size)),
        outputs_of(2, (4, 4), names),
        max_columns=30,
        labels=[0, 0],
        class_names=["wide: MMMMMMMMMMMMMM", "WWW WWWWWWW WWWWWWWWW", "iiii"],
    )
    check_layout(figure)


def test_nothing_overlaps_where_titles_stand_above_every_row():
    names = ["a cat with a very long name that is shortened", "dog", "newt"]
    outputs = {**outputs_of(names=("conv",)), "explained_class": np.array([0, 1])}
    figure = plot_heatmaps(np.zeros((2, 6, 8)), outputs, taps=[explaining("heatmap_conv")], class_names=names)
    check_layout(figure)


def test_many_heatmaps_wrap_into_lines_of_equal_length_beside_their_image():
    figure = plot_heatmaps(np.zeros((1, 4, 4)), outputs_of(1, (4, 4), [str(i) for i in range(13)]))
    image, *heats = (ax.get_position() for ax in panels(figure))
    lines = {}
    for box in heats:
        lines.setdefault(round(box.y0, 6), []).append(box.x0)
        assert box.x0 > image.x1
    assert [len(line) for line in lines.values()] == [7, 6]


def test_no_window_is_opened_and_no_global_state_touched():
    assert plot_heatmaps(np.zeros((1, 4, 4)), {"heatmap_a": np.zeros((1, 4, 4))}).canvas.manager is None


def test_the_figure_can_be_saved(tmp_path):
    figure = plot_heatmaps(np.zeros((2, 6, 8)), outputs_of())
    figure.savefig(tmp_path / "gallery.png", dpi=50)
    assert (tmp_path / "gallery.png").read_bytes()[:4] == b"\x89PNG"


def test_a_notebook_shows_the_figure():
    figure = plot_heatmaps(np.zeros((2, 6, 8)), outputs_of())
    figure.savefig(content := BytesIO(), format="png")
    assert figure._repr_png_() == content.getvalue()


def test_show_without_a_screen_writes_a_file_and_tells_its_path(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    matplotlib.use("Agg")
    figure = plot_heatmaps(np.zeros((2, 6, 8)), outputs_of(), background="dark")
    figure.show()
    (file,) = tmp_path.iterdir()
    assert capsys.readouterr().out == (
        f"No window can be opened here. The pictures are in {file} (`savefig` chooses another file).\n"
    )
    shown = matplotlib.image.imread(file)
    figure.savefig(content := BytesIO(), format="png", dpi=100)
    np.testing.assert_array_equal(shown, matplotlib.image.imread(BytesIO(content.getvalue())))


@pytest.mark.parametrize("times", [1, 2])
def test_show_opens_a_window_with_the_figure(times, monkeypatch, capsys):
    from matplotlib import pyplot

    matplotlib.use("Agg")
    monkeypatch.setattr("visualcnn_tf.viz.windows._FILES_ONLY", ())
    figure = plot_heatmaps(np.zeros((2, 6, 8)), outputs_of())
    before = figure._repr_png_()
    seen = []
    monkeypatch.setattr(pyplot, "show", lambda: (seen.append(pyplot.gcf()), pyplot.close("all")))
    for _ in range(times):
        figure.show()
    assert seen == [figure] * times
    assert figure._repr_png_() == before
    assert capsys.readouterr().out == ""


# backgrounds ---------------------------------------------------------------------------------------------


def contrast(one, other):
    """The ratio that the Web Content Accessibility Guidelines define."""
    linear = [np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for c in map(np.array, (one, other))]
    bright, dark = sorted((c @ [0.2126, 0.7152, 0.0722] for c in linear), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize(("background", "bright"), [("light", True), ("dark", False)])
def test_all_texts_stand_out_from_the_background(background, bright, style):
    options = {"labels": [1, 0], "class_names": ["cat", "dog", "newt"], "background": background}
    with matplotlib.style.context(style):  # the user's own style does not matter
        figure = plot_heatmaps(np.zeros((2, 6, 8)), outputs_of(), **options)
    paper = figure.get_facecolor()[:3]
    assert (np.mean(paper) > 0.5) == bright
    texts = [text for ax in panels(figure) for text in (ax.title, ax.yaxis.label) if text.get_text()]
    texts += figure.axes[-1].get_yticklabels()
    assert len(texts) == 3 + 2 + 3
    for text in texts:
        assert contrast(matplotlib.colors.to_rgb(text.get_color()), paper) > 4.5, text
    figure.savefig(content := BytesIO(), format="png")
    corner = matplotlib.image.imread(BytesIO(content.getvalue()))[0, 0, :3]
    np.testing.assert_allclose(corner, paper, atol=0.01)


# pages ---------------------------------------------------------------------------------------------------


def shown(figures):
    """All that the figures show, image by image, and its titles."""
    axes = [ax for figure in figures for ax in panels(figure)]
    return [pixels(ax) for ax in axes], [ax.get_title() for ax in axes]


def test_what_fits_is_one_page_like_the_figure():
    outputs = outputs_of()
    options = {"labels": [1, 0], "class_names": ["cat", "dog", "newt"], "max_columns": 1, "background": "dark"}
    (page,) = plot_pages(np.zeros((2, 6, 8)), outputs, **options)
    assert page._repr_png_() == plot_heatmaps(np.zeros((2, 6, 8)), outputs, **options)._repr_png_()


@pytest.fixture
def small_pages(monkeypatch):
    """Pages of three lines of heatmaps."""
    monkeypatch.setattr("visualcnn_tf.viz.grid._PAGE_HEIGHT", 6.0)
    monkeypatch.setattr("visualcnn_tf.viz.grid._PAGE_WIDTH", 3.0)


def test_many_images_are_shared_out_to_pages(small_pages):
    images = RNG.random((7, 6, 6, 3))
    outputs = outputs_of(7, (6, 6), ["a"], predictions=RNG.random((7, 3)))
    figures = plot_pages(images, outputs)
    assert [len(panels(figure)) for figure in figures] == [6, 6, 2]
    assert all(figure.get_size_inches()[1] < 6 for figure in figures)
    everything, _ = shown(figures)
    np.testing.assert_array_equal(everything[::2], images)
    np.testing.assert_array_equal(everything[1::2], outputs["heatmap_a"])
    check_layout(figures[-1])


def test_many_heatmaps_of_one_image_go_on_on_the_next_page(small_pages):
    names = [f"layer_{i}" for i in range(40)]
    outputs = outputs_of(2, (4, 4), names)
    images = RNG.random((2, 4, 4, 3))
    figures = plot_pages(images, outputs, max_columns=8)
    assert [len(panels(figure)) for figure in figures] == [25, 17, 25, 17]
    assert all(figure.get_size_inches()[1] < 6.2 for figure in figures)
    everything, titles = shown(figures)
    assert [title for title in titles if title != "image"] == 2 * [f"{name}\n4×4" for name in names]
    heatmaps = [drawn for drawn, title in zip(everything, titles, strict=True) if title != "image"]
    np.testing.assert_array_equal(heatmaps, [outputs[f"heatmap_{name}"][i] for i in range(2) for name in names])
    for i, figure in enumerate(figures):
        np.testing.assert_array_equal(pixels(figure.axes[0]), images[i // 2])


@pytest.mark.parametrize(("count", "images", "pages"), [(1, 60, [28, 28, 4]), (5, 20, [7, 7, 6]), (60, 3, [1, 1, 1])])
def test_pages_have_a_sensible_shape(count, images, pages):
    row = Row(np.zeros((4, 4, 3)), [np.zeros((4, 4))] * count, ["block_expand_relu\n4×4"] * count, text="class 3\n90%")
    split = gallery.pages([row] * images, Look())
    assert [len(page) for page in split] == pages
    width, height = gallery.draw(split[0], Look()).get_size_inches()
    assert height < 13
    assert 0.6 < width / height < 2.5


def test_many_images_in_one_figure_stand_beside_each_other():
    figure = plot_heatmaps(np.zeros((24, 4, 4)), outputs_of(24, (4, 4), ["a"], predictions=np.ones((24, 3))))
    width, height = figure.get_size_inches()
    assert 0.5 < width / height < 2
    check_layout(figure)


def test_pages_check_their_arguments():
    with pytest.raises(InvalidArgumentError, match="`background` must be one of 'light', 'dark'"):
        plot_pages(IMAGES, outputs_of(), background="gray")
    with pytest.raises(InvalidArgumentError, match="`max_columns` must be a whole number"):
        plot_pages(IMAGES, outputs_of(), max_columns=0)
    with pytest.raises(InvalidArgumentError, match=r"`labels` must be one for each image \(2\)"):
        plot_pages(IMAGES, outputs_of(), labels=[1])


# overlays ------------------------------------------------------------------------------------------------


def test_heatmaps_are_laid_over_their_images():
    images = RNG.random((2, 6, 8, 3))
    outputs = outputs_of(names=("a",))
    for draw in (plot_heatmaps, lambda *args, **options: plot_pages(*args, **options)[0]):
        axes = panels(draw(images, outputs, alpha=0.7, colormap="viridis"))
        for i in range(2):
            np.testing.assert_array_equal(pixels(axes[2 * i]), images[i])
            h = outputs["heatmap_a"][i][..., None]
            color = color_table("viridis")[np.round(255 * h[..., 0]).astype(int)]
            expected = 255 * images[i] + 0.7 * h * (color - 255 * images[i])
            assert abs(pixels(axes[2 * i + 1]) - expected).max() <= 0.51


def test_a_heatmap_of_its_own_size_is_enlarged_over_its_image():
    axes = panels(
        plot_heatmaps(
            np.zeros((1, 8, 8)), {"heatmap_a": np.array([[[0.0, 1.0], [0.0, 1.0]]])}, alpha=1, colormap="gray"
        )
    )
    drawn = pixels(axes[1])[0, :, 0]
    across = np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1)  # bilinear, half-pixel centers
    np.testing.assert_allclose(drawn, 255 * across * across, atol=1)


def test_the_color_bar_has_the_color_map():
    figure = plot_heatmaps(np.zeros((1, 4, 4)), {"heatmap_a": np.zeros((1, 4, 4))}, colormap="heat")
    assert panels(figure)[1].images[0].get_cmap().name == "heat"
    np.testing.assert_allclose(panels(figure)[1].images[0].get_cmap()(1.0)[:3], color_table("heat")[-1] / 255)


def test_images_that_are_predicted_wrongly_have_a_frame():
    axes = panels(plot_heatmaps(np.zeros((2, 6, 8)), outputs_of(names=("a",)), labels=[1, 0]))
    widths = [axes[i].spines["top"].get_linewidth() for i in (0, 2)]
    assert widths[1] > 2 * widths[0]


IMAGES = np.zeros((2, 6, 8))


@pytest.mark.parametrize(
    ("images", "outputs", "options", "message"),
    [
        (np.zeros((2, 6, 8, 2)), outputs_of(), {}, r"`images` must be .* Received: \(2, 6, 8, 2\)"),
        (np.zeros((0, 6, 8)), outputs_of(), {}, r"`images` must be"),
        (IMAGES, {"predictions": PREDICTIONS}, {}, r"`outputs` must be .* Received: \['predictions'\]"),
        (IMAGES, outputs_of(1), {}, r"`outputs\['heatmap_a'\]` must be \(2, height, width\)"),
        (IMAGES, outputs_of(), {"keys": ["heatmap_aa"]}, r"`keys` must be .* Did you mean 'heatmap_a'\?"),
        (IMAGES, outputs_of(), {"keys": []}, r"`keys` must be a list of at least one name"),
        (IMAGES, outputs_of(), {"keys": "heatmap_a"}, r"`keys` must be a list"),
        (IMAGES, outputs_of(), {"titles": ["x"]}, r"`titles` must be one for each heatmap \(2\)"),
        (IMAGES, outputs_of(), {"labels": [1]}, r"`labels` must be one for each image \(2\)"),
        (IMAGES, outputs_of(), {"labels": np.eye(3)}, r"`labels` must be one for each image \(2\)"),
        (IMAGES, outputs_of(), {"labels": 1}, r"`labels` must be class indices .*Received: .shape \(\)"),
        (IMAGES, outputs_of(), {"labels": np.zeros((2, 3, 1))}, r"`labels` must be .*Received: .shape \(2, 3, 1\)"),
        (IMAGES, outputs_of(), {"labels": np.ones((2, 3))}, r"`labels` of shape \(2, 3\) must be one-hot rows.*argmax"),
        (IMAGES, outputs_of(), {"labels": np.full((2, 3), 1 / 3)}, r"must be one-hot rows: a single 1"),
        (
            IMAGES,
            outputs_of(),
            {"labels": np.eye(5)[[1, 4]]},
            r"`labels` must be class indices from 0 to 2.*: 4",
        ),
        (IMAGES, outputs_of(), {"labels": [0, -1]}, r"`labels` must be class indices from 0 to 2"),
        (IMAGES, outputs_of(), {"labels": [0.5, 1]}, r"`labels` must be .*Indices are whole numbers"),
        (IMAGES, outputs_of(), {"labels": [[0], [1, 2]]}, r"`labels` must be class indices \(N,\), one-hot rows"),
        (IMAGES, outputs_of(), {"labels": [None, 1]}, r"`labels` must be class indices \(N,\), one-hot rows"),
        (
            IMAGES,
            outputs_of(),
            {"labels": ["cat", "dog"]},
            r"`labels` must be .* without `class_names`.*Pass",
        ),
        (
            IMAGES,
            outputs_of(),
            {"labels": ["cat", "nwet"], "class_names": ["cat", "dog", "newt"]},
            r"`labels` must be the name of a class .*Received: .nwet.\. Did you mean .newt.",
        ),
        (IMAGES, outputs_of(), {"class_names": ["x"]}, r"`class_names` must be one for each class \(3\)"),
        (
            IMAGES,
            outputs_of(),
            {"class_names": list("xyz"), "labels": [1, 3]},
            r"`labels` must be class indices from 0 to 2",
        ),
        (IMAGES, outputs_of(), {"alpha": 1.5}, "`alpha` must be a number from 0"),
        (IMAGES, outputs_of(), {"colormap": "turob"}, "`colormap` must be one of .* Did you mean 'turbo'"),
        (IMAGES, outputs_of(), {"max_columns": 0}, r"`max_columns` must be .* Received: 0"),
        (IMAGES, outputs_of(), {"background": "drak"}, "`background` must be one of .* Did you mean 'dark'"),
        (
            np.zeros((1200, 2, 2)),
            outputs_of(1200, predictions=np.ones((1200, 2))),
            {},
            "`images` must be few enough.*`plot_pages`",
        ),
    ],
)
def test_arguments_that_do_not_fit(images, outputs, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_heatmaps(images, outputs, **options)


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r'pip install "visualcnn-tf\[plot\]"'):
        plot_heatmaps(IMAGES, outputs_of())
