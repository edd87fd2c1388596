"""The original's calls, against a plain float64 version of the original's formula."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy import ndimage

from visualcnn_tf._attach import attach
from visualcnn_tf.compat.visualizer import Visualizer
from visualcnn_tf.errors import (
    Image1DError,
    ImageTooSmallError,
    IncompatibleModelError,
    InputShapeError,
    InvalidArgumentError,
    InvalidTypeError,
    MissingExtraError,
    NanLayerOutputError,
    SizeTooSmall,
    SmallConvolutionWarning,
    VisualCNNError,
)
from visualcnn_tf.render.overlay import colorize


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).random(shape).astype("float32")


def mnist_cnn(*first: keras.layers.Layer) -> keras.Sequential:
    """The network of the original's README."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            *first,
            layers.Conv2D(32, (5, 5), 1, padding="same"),
            layers.Conv2D(64, (3, 3), 1, padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, (3, 3), 1, padding="same"),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def model() -> keras.Sequential:
    return mnist_cnn(keras.Input((28, 28, 1)))


@pytest.fixture
def visualizer(model: keras.Sequential) -> Visualizer:
    return Visualizer(model, small_layers=True)


def activations(model: keras.Model, images: np.ndarray) -> list[np.ndarray]:
    """The original's way: one layer after the other."""
    found, x = [], images
    for layer in model.layers:
        x = layer(x)
        if type(layer) in (layers.Conv2D, layers.MaxPooling2D):
            found.append(np.asarray(x, np.float64))
    return found


def deviation(maps: np.ndarray) -> np.ndarray:
    """The fusion of one image's (h, w, C), in [0, 1]."""
    fused = np.mean([abs(maps[..., k] - maps[..., k].mean()) for k in range(maps.shape[-1])], axis=0)
    return (fused - fused.min()) / (fused.max() - fused.min())


def original_heatmap(maps: np.ndarray) -> np.ndarray:
    """The original's formula for a layer of the input's size, with its rounding."""
    return np.round(deviation(maps), 4)


def bilinear(small: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Enlarges (h, w) with half-pixel centers and clamped edges, then normalizes."""
    for axis, (before, after) in enumerate(zip(small.shape, size, strict=True)):
        position = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
        low = np.floor(position).astype(int)
        high, part = np.minimum(low + 1, before - 1), position - low
        part = part[:, None] if axis == 0 else part
        small = small.take(low, axis) * (1 - part) + small.take(high, axis) * part
    return (small - small.min()) / (small.max() - small.min())


# --- heatmap ---


def test_quickstart_writes_the_heatmaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    x_test = random(3, 28, 28, 1)
    model = mnist_cnn()
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_test, keras.utils.to_categorical([1, 2, 3], 10), epochs=1, verbose=0)

    visualizer = Visualizer(model, small_layers=True)
    heatmaps = visualizer.heatmap(x_test[0])
    visualizer.save_heatmaps()

    assert [heatmap.shape for heatmap in heatmaps] == [(28, 28)] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"Heatmap{n}.png" for n in range(1, 5)]
    for n, heatmap in enumerate(heatmaps, start=1):
        decoded = tf.io.decode_png(Path(f"Heatmap{n}.png").read_bytes()).numpy()
        np.testing.assert_array_equal(decoded, colorize(heatmap, "heat").numpy())


def test_heatmaps_are_those_of_the_original(model: keras.Sequential, visualizer: Visualizer) -> None:
    image = random(28, 28, 1)
    heatmaps = visualizer.heatmap(image)
    assert len(heatmaps) == 4
    for heatmap, maps in zip(heatmaps, activations(model, image[None]), strict=True):
        assert heatmap.dtype == np.float32
        assert heatmap.shape == (28, 28)
        assert (heatmap.min(), heatmap.max()) == (0.0, 1.0)
        if maps.shape[1:3] == (28, 28):
            np.testing.assert_allclose(heatmap, original_heatmap(maps[0]), atol=1e-3)
        np.testing.assert_allclose(heatmap, bilinear(deviation(maps[0]), (28, 28)), atol=1e-4)


def test_heatmaps_are_those_of_attach(model: keras.Sequential, visualizer: Visualizer) -> None:
    images = random(2, 28, 28, 1)
    expected = attach(model).predict(images, verbose=0)
    del expected["predictions"]
    for heatmaps, reference in zip(visualizer.heatmap(images), expected.values(), strict=True):
        np.testing.assert_allclose(heatmaps, reference, atol=1e-5)


def test_every_accepted_shape_gives_the_same(visualizer: Visualizer) -> None:
    image = random(28, 28)
    expected = visualizer.heatmap(image)
    for same in (image[..., None], image[None], image[None, ..., None]):
        for heatmap, reference in zip(visualizer.heatmap(same), expected, strict=True):
            assert heatmap.shape == (28, 28)
            np.testing.assert_array_equal(heatmap, reference)


@pytest.mark.parametrize("convert", [tf.constant, np.float64, lambda x: x.tolist()], ids=["tf", "f64", "list"])
def test_every_kind_of_array_is_taken(visualizer: Visualizer, convert) -> None:
    image = random(28, 28)
    for heatmap, reference in zip(visualizer.heatmap(convert(image)), visualizer.heatmap(image), strict=True):
        np.testing.assert_allclose(heatmap, reference, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_integer_images_are_taken_as_numbers(visualizer: Visualizer, dtype: str) -> None:
    image = (random(28, 28) * 3).astype(dtype)
    for heatmap, reference in zip(visualizer.heatmap(image), visualizer.heatmap(image.astype("float32")), strict=True):
        np.testing.assert_array_equal(heatmap, reference)


def test_a_batch_gives_one_heatmap_for_each_image(visualizer: Visualizer) -> None:
    images = random(3, 28, 28, 1) * np.array([1, 5, 0.1], np.float32).reshape(3, 1, 1, 1)
    batches = visualizer.heatmap(images)
    assert [batch.shape for batch in batches] == [(3, 28, 28)] * 4
    for i in range(3):
        for batch, alone in zip(batches, visualizer.heatmap(images[i]), strict=True):
            np.testing.assert_allclose(batch[i], alone, atol=1e-4)


def test_a_constant_layer_is_all_zeros_and_never_nan() -> None:
    model = keras.Sequential([keras.Input((20, 20, 1)), layers.Conv2D(2, 1, kernel_initializer="zeros")])
    (heatmap,) = Visualizer(model).heatmap(random(20, 20))
    np.testing.assert_array_equal(heatmap, np.zeros((20, 20)))


def test_layers_larger_than_the_image_and_images_that_are_not_square() -> None:
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="same", padding="same")(inputs)
    x = layers.UpSampling2D(2)(x)
    model = keras.Model(inputs, layers.Conv2D(4, 3, padding="same", name="larger")(x))
    visualizer = Visualizer(model)
    for size in [(24, 15), (15, 40)]:
        image = random(*size, 3)
        same, larger = visualizer.heatmap(image)
        assert same.shape == larger.shape == size
        assert (larger.min(), larger.max()) == (0.0, 1.0)
        maps = np.asarray(model.layers[1](image[None]), np.float64)[0]
        np.testing.assert_allclose(same, original_heatmap(maps), atol=1e-3)


def test_only_convolutions_and_max_pooling_in_the_models_order() -> None:
    inner = keras.Sequential(
        [keras.Input((20, 20, 4)), layers.DepthwiseConv2D(3), layers.Conv2D(2, 3, name="deep")], name="inner"
    )
    inputs = keras.Input((20, 20, 1))
    x = layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    x = inner(x)
    x = layers.Conv2DTranspose(2, 5)(x)
    x = layers.AveragePooling2D(1)(x)
    model = keras.Model(inputs, layers.MaxPooling2D(1, name="last")(x))
    visualizer = Visualizer(model)
    assert visualizer.show_layers() == ["first", "inner/deep", "last"]
    image = random(1, 20, 20, 1)
    heatmaps = visualizer.heatmap(image)
    first = model.layers[1](image)
    for heatmap, maps in zip(heatmaps, [first, inner(first), model(image)], strict=True):
        expected = bilinear(deviation(np.asarray(maps, np.float64)[0]), (20, 20))
        np.testing.assert_allclose(heatmap, expected, atol=1e-4)


def test_a_subclassed_model_is_shown() -> None:
    class Net(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv = layers.Conv2D(4, 3, padding="same")

        def call(self, x):
            return tf.reduce_mean(self.conv(x), [1, 2])

    net = Net()
    image = random(18, 18, 1)
    (heatmap,) = Visualizer(net).heatmap(image)
    np.testing.assert_allclose(heatmap, original_heatmap(np.asarray(net.conv(image[None]))[0]), atol=1e-3)


def test_a_model_that_was_never_built_is_shown() -> None:
    model = mnist_cnn()
    image = random(28, 28, 1)
    heatmaps = Visualizer(model, small_layers=True).heatmap(image)
    for heatmap, maps in zip(heatmaps, activations(model, image[None]), strict=True):
        np.testing.assert_allclose(heatmap, bilinear(deviation(maps[0]), (28, 28)), atol=1e-4)


def test_the_model_stays_as_it_was(model: keras.Sequential, visualizer: Visualizer) -> None:
    image = random(28, 28, 1)
    config, weights, before = model.get_config(), model.get_weights(), model.predict(image[None], verbose=0)
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    visualizer.heatmap(image)
    visualizer.blurmap(image)
    assert model.get_config() == config
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    assert all("call" not in vars(layer) for layer in model.layers)
    for now, then in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)
    np.testing.assert_array_equal(model.predict(image[None], verbose=0), before)


# --- small layers ---


def test_small_layers_are_left_out_with_a_warning() -> None:
    model = keras.Sequential(
        [
            keras.Input((26, 28, 1)),
            layers.Conv2D(2, 1),
            layers.MaxPooling2D(2, name="halved"),
            layers.Conv2D(2, 1),
        ]
    )
    visualizer = Visualizer(model)
    with pytest.warns(SmallConvolutionWarning) as record:
        heatmaps = visualizer.heatmap(random(26, 28))
    assert len(heatmaps) == 1
    assert re.match(r"The layer 'halved' is left out: its maps of 13×14.*small_layers=True", str(record[0].message))
    assert len(record) == 2
    assert len(visualizer.show_layers()) == 1
    assert len(Visualizer(model, small_layers=True).heatmap(random(26, 28))) == 3


def test_the_warning_points_at_the_caller() -> None:
    model = keras.Sequential([keras.Input((20, 20, 1)), layers.Conv2D(2, 1), layers.MaxPooling2D()])
    visualizer = Visualizer(model)
    for call in (visualizer.heatmap, visualizer.blurmap):
        with pytest.warns(SmallConvolutionWarning) as record:
            call(random(20, 20))
        assert [Path(w.filename) for w in record] == [Path(__file__)]


def test_layers_of_14_are_not_small(model: keras.Sequential) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(Visualizer(model).heatmap(random(28, 28))) == 4


def test_sizes_that_only_the_image_tells() -> None:
    model = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 1), layers.MaxPooling2D()])
    visualizer = Visualizer(model)
    assert len(visualizer.heatmap(random(28, 30))) == 2
    with pytest.warns(SmallConvolutionWarning):
        assert len(visualizer.heatmap(random(20, 30))) == 1


def test_an_image_under_14_is_too_small(model: keras.Sequential) -> None:
    with pytest.raises(ImageTooSmallError, match=r"`input` must be at least 14×14.*Received: 28×13.*small_layers"):
        Visualizer(model).heatmap(random(28, 13))
    tiny = keras.Sequential([keras.Input((8, 6, 1)), layers.Conv2D(2, 1)])
    assert Visualizer(tiny, small_layers=True).heatmap(random(8, 6))[0].shape == (8, 6)


# --- errors ---


@pytest.mark.parametrize(
    "wrong", ["cat.png", None, {"image": 1}, [[1, 2], [3]], object()], ids=lambda x: type(x).__name__
)
def test_what_is_no_image_is_refused(visualizer: Visualizer, wrong: object) -> None:
    with pytest.raises(InvalidTypeError, match=rf"`input` must be an image.*Received: {type(wrong).__name__}"):
        visualizer.heatmap(wrong)


def test_a_symbolic_tensor_is_refused(visualizer: Visualizer) -> None:
    with pytest.raises(InvalidTypeError, match="Received: KerasTensor"):
        visualizer.heatmap(keras.Input((28, 28, 1)))


@pytest.mark.parametrize("shape", [(), (28,)])
def test_one_dimension_is_refused(visualizer: Visualizer, shape: tuple[int, ...]) -> None:
    with pytest.raises(Image1DError, match=re.escape(f"Received: shape {shape}")):
        visualizer.heatmap(np.ones(shape))


def test_images_that_the_model_does_not_take_are_refused(visualizer: Visualizer) -> None:
    for shape in [(28, 28, 3), (30, 28, 1), (2, 1, 28, 28, 1)]:
        with pytest.raises(InputShapeError, match="Received"):
            visualizer.heatmap(np.ones(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_name_the_layer(bad: float) -> None:
    model = mnist_cnn(keras.Input((28, 28, 1)))
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([kernel, np.full_like(bias, bad)])
    with pytest.raises(NanLayerOutputError, match=model.layers[1].name):
        Visualizer(model).heatmap(random(28, 28))


@pytest.mark.parametrize("wrong", [None, "model.keras", layers.Conv2D(2, 3)], ids=["None", "path", "layer"])
def test_what_is_no_model_is_refused(wrong: object) -> None:
    with pytest.raises(IncompatibleModelError, match=r"`model` must be a Keras.* model"):
        Visualizer(wrong)


def test_a_model_without_such_layers_is_refused() -> None:
    model = keras.Sequential([keras.Input((20, 20, 1)), layers.DepthwiseConv2D(3), layers.Flatten()])
    with pytest.raises(IncompatibleModelError, match=r"must have a Conv2D or MaxPooling2D layer.*'sequential"):
        Visualizer(model)


def test_channels_first_is_refused() -> None:
    model = keras.Sequential(
        [keras.Input((1, 20, 20)), layers.MaxPooling2D(2, data_format="channels_first", name="pool")]
    )
    with pytest.raises(IncompatibleModelError, match="must have its channels last"):
        Visualizer(model)


def test_the_errors_of_the_original_are_ours_and_pythons() -> None:
    for error in (
        Image1DError,
        ImageTooSmallError,
        NanLayerOutputError,
        SizeTooSmall,
    ):
        assert issubclass(error, VisualCNNError)
        assert issubclass(error, ValueError)
    assert issubclass(InvalidTypeError, TypeError)
    assert issubclass(IncompatibleModelError, TypeError)
    assert issubclass(SmallConvolutionWarning, UserWarning)


@pytest.mark.parametrize("call", ["save_heatmaps", "show_heatmap", "show_blurmap"])
def test_nothing_to_show_yet(visualizer: Visualizer, call: str) -> None:
    with pytest.raises(VisualCNNError, match=r"There is no (heat|blur)map to show. Call `(heat|blur)map\(image\)`"):
        getattr(visualizer, call)()


def test_nothing_left_to_show(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((20, 20, 1)), layers.Conv2D(2, 1, strides=2)])
    visualizer = Visualizer(model)
    with pytest.warns(SmallConvolutionWarning):
        assert visualizer.heatmap(random(20, 20)) == []
    with pytest.raises(VisualCNNError, match="small_layers=True"):
        visualizer.save_heatmaps(tmp_path)


# --- blurmap ---


def original_blurmap(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """(H, W, C) image and (H, W) heatmap, in float64."""
    image = image.astype(np.float64)
    levels = [
        ndimage.gaussian_filter(image, (0.3 * n, 0.3 * n, 0), mode="reflect", truncate=4.0) for n in range(11, 0, -1)
    ]
    levels.append(image)
    index = np.minimum(11, (12 * heatmap).astype(int))
    return np.choose(index[..., None], levels)


def test_blurmap_is_the_heatmaps_blend(visualizer: Visualizer) -> None:
    image = random(28, 28, 1)
    heatmaps, blurmaps = visualizer.heatmap(image), visualizer.blurmap(image)
    assert len(blurmaps) == 4
    for heatmap, blurred in zip(heatmaps, blurmaps, strict=True):
        assert blurred.shape == (28, 28)
        assert blurred.dtype == np.float32
        np.testing.assert_allclose(blurred, original_blurmap(image, heatmap)[..., 0], atol=2e-6)
        assert blurred[heatmap == 1.0] == image[heatmap == 1.0]


def test_blurmap_keeps_color_type_and_batch() -> None:
    model = keras.Sequential([keras.Input((20, 30, 3)), layers.Conv2D(4, 3)])
    visualizer = Visualizer(model)
    images = (random(2, 20, 30, 3) * 255).astype(np.uint8)
    (blurred,) = visualizer.blurmap(images)
    assert blurred.shape == images.shape
    assert blurred.dtype == np.uint8
    (heatmaps,) = visualizer.heatmap(images)
    for i in range(2):
        assert np.abs(blurred[i] - original_blurmap(images[i], heatmaps[i])).max() < 0.501
    (alone,) = visualizer.blurmap(images[0])
    np.testing.assert_array_equal(alone, blurred[0])


def test_results_are_kept_apart(visualizer: Visualizer) -> None:
    assert visualizer.heat_map == visualizer.blur_map == []
    heatmaps = visualizer.heatmap(random(28, 28))
    visualizer.blurmap(random(28, 28) ** 2)
    for kept, heatmap in zip(visualizer.heat_map, heatmaps, strict=True):
        np.testing.assert_array_equal(kept, heatmap)
    assert len(visualizer.blur_map) == 4


# --- files ---


def decoded(path: Path) -> np.ndarray:
    return tf.io.decode_png(path.read_bytes()).numpy()


def test_directory_names_and_colormap(visualizer: Visualizer, tmp_path: Path) -> None:
    heatmaps = visualizer.heatmap(random(28, 28))
    names = ["first", "second.png", "third.layer", "4"]
    paths = visualizer.save_heatmaps(tmp_path / "new" / "folder", names=names, colormap="gray")
    assert [path.name for path in paths] == ["first.png", "second.png", "third.layer.png", "4.png"]
    assert sorted(paths) == sorted((tmp_path / "new" / "folder").iterdir())
    for path, heatmap in zip(paths, heatmaps, strict=True):
        np.testing.assert_array_equal(decoded(path)[..., 0], np.round(heatmap * np.float32(255)))


def test_a_batch_is_numbered(visualizer: Visualizer, tmp_path: Path) -> None:
    heatmaps = visualizer.heatmap(random(2, 28, 28, 1))
    paths = visualizer.save_heatmaps(tmp_path)
    assert [path.name for path in paths] == [f"Heatmap{n}_{i}.png" for n in range(1, 5) for i in (1, 2)]
    np.testing.assert_array_equal(decoded(paths[5]), colorize(heatmaps[2][1], "heat").numpy())


def test_resize_enlarges_the_pixels(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((20, 30, 1)), layers.Conv2D(2, 3)])
    visualizer = Visualizer(model)
    (heatmap,) = visualizer.heatmap(random(20, 30))
    (path,) = visualizer.save_heatmaps(tmp_path, resize=120)
    np.testing.assert_array_equal(decoded(path), colorize(heatmap, "heat").numpy().repeat(4, 0).repeat(4, 1))


def test_files_are_replaced_whole(visualizer: Visualizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visualizer.heatmap(random(28, 28))
    old = visualizer.save_heatmaps(tmp_path)[0].read_bytes()
    visualizer.heatmap(random(28, 28) ** 2)

    def fails(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fails)
    with pytest.raises(OSError, match="disk full"):
        visualizer.save_heatmaps(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"Heatmap{n}.png" for n in range(1, 5)]
    assert (tmp_path / "Heatmap1.png").read_bytes() == old


@pytest.mark.parametrize("names", ["abcd", ["a"], ["a", "b", "c", "a"], ["a", "b", "c", 4]], ids=repr)
def test_names_that_do_not_fit_are_refused(visualizer: Visualizer, tmp_path: Path, names: object) -> None:
    visualizer.heatmap(random(28, 28))
    with pytest.raises(InvalidArgumentError, match="`names` must be a list of 4 different file names"):
        visualizer.save_heatmaps(tmp_path, names=names)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["save_heatmaps", "show_heatmap", "show_blurmap"])
def test_pictures_under_100_are_too_small(visualizer: Visualizer, call: str) -> None:
    visualizer.heatmap(random(28, 28))
    visualizer.blurmap(random(28, 28))
    with pytest.raises(SizeTooSmall, match=r"`resize` must be at least 100 pixels.*Received: 99"):
        getattr(visualizer, call)(resize=99)
    with pytest.raises(InvalidArgumentError, match=r"`resize` must be a width.*Received: '500'"):
        getattr(visualizer, call)(resize="500")


# --- windows ---


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list:
    """What pyplot would have shown, as RGB arrays."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown: list = []

    def show() -> None:
        for number in pyplot.get_fignums():
            figure = pyplot.figure(number)
            figure.canvas.draw()
            shown.append(np.asarray(figure.canvas.buffer_rgba())[..., :3])
        pyplot.close("all")

    monkeypatch.setattr(pyplot, "show", show)
    monkeypatch.setattr("visualcnn_tf.viz.windows._FILES_ONLY", ())
    return shown


def cell(picture: np.ndarray, row: int, column: int, size: tuple[int, int]) -> np.ndarray:
    """One picture of the mosaic; titles are 24 pixels high, gaps between columns 8 wide."""
    top, left = row * (size[0] + 24) + 24, column * (size[1] + 8)
    return picture[top : top + size[0], left : left + size[1]]


def test_show_heatmap_opens_one_window(visualizer: Visualizer, windows: list) -> None:
    heatmaps = visualizer.heatmap(random(28, 28))
    assert visualizer.show_heatmap(resize=112) is None
    (picture,) = windows
    assert picture.shape == (2 * (112 + 24), 2 * 112 + 8, 3)
    for n, heatmap in enumerate(heatmaps):
        expected = colorize(heatmap, "heat").numpy().repeat(4, 0).repeat(4, 1)
        np.testing.assert_allclose(cell(picture, *divmod(n, 2), (112, 112)), expected, atol=1)


def test_show_blurmap_is_500_wide(windows: list) -> None:
    model = keras.Sequential([keras.Input((20, 40, 3)), layers.Conv2D(2, 3)])
    visualizer = Visualizer(model)
    visualizer.blurmap(random(20, 40, 3))
    visualizer.show_blurmap()
    (picture,) = windows
    assert picture.shape == (250 + 24, 500, 3)


def test_show_blurmap_writes_a_file_instead(visualizer: Visualizer, tmp_path: Path, windows: list) -> None:
    blurmaps = visualizer.blurmap((random(28, 28) * 255).astype(np.uint8))
    visualizer.show_blurmap(resize=112, path=tmp_path / "sub" / "blurmaps.png")
    assert windows == []
    picture = decoded(tmp_path / "sub" / "blurmaps.png")
    for n, blurred in enumerate(blurmaps):
        expected = blurred.repeat(4, 0).repeat(4, 1)[..., None].repeat(3, -1)
        np.testing.assert_allclose(cell(picture[..., :3], *divmod(n, 2), (112, 112)), expected, atol=1)
    visualizer.show_blurmap(path=str(tmp_path / "blurmaps.pdf"))
    assert (tmp_path / "blurmaps.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("scale", "shift"), [(1.0, 0.0), (255.0, 0.0), (2.0, -1.0)], ids=["0 to 1", "0 to 255", "-1 to 1"]
)
def test_images_of_any_range_are_shown(windows: list, scale: float, shift: float) -> None:
    model = keras.Sequential([keras.Input((25, 25, 3)), layers.Conv2D(2, 1)])
    visualizer = Visualizer(model)
    (blurred,) = visualizer.blurmap(random(25, 25, 3) * scale + shift)
    visualizer.show_blurmap(resize=100)
    if scale != 1.0:
        blurred = (blurred - blurred.min()) / (blurred.max() - blurred.min())
    expected = np.round(blurred * 255).repeat(4, 0).repeat(4, 1)
    np.testing.assert_allclose(cell(windows[0], 0, 0, (100, 100)), expected, atol=1)


def test_images_without_colors_are_shown_as_their_mean(windows: list) -> None:
    model = keras.Sequential([keras.Input((25, 25, 5)), layers.Conv2D(2, 1)])
    visualizer = Visualizer(model)
    (blurred,) = visualizer.blurmap(random(25, 25, 5))
    visualizer.show_blurmap(resize=None)
    expected = np.round(blurred.mean(-1, keepdims=True) * 255).repeat(3, -1)
    np.testing.assert_allclose(cell(windows[0], 0, 0, (25, 25)), expected, atol=1)


HEADLESS = """
import keras, numpy as np
from visualcnn_tf import Visualizer
visualizer = Visualizer(keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(2, 3)]))
visualizer.heatmap(np.eye(28))
visualizer.show_heatmap(resize=112)
visualizer.blurmap(np.eye(28))
visualizer.show_blurmap(resize=112)
"""


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("backend", ["", "Agg", "TkAgg"])
def test_without_a_screen_the_path_of_a_file_is_told(backend: str, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if "DISPLAY" not in key and key != "MPLBACKEND"}
    environment |= {"TMPDIR": str(tmp_path)} | ({"MPLBACKEND": backend} if backend else {})
    words = [sys.executable, "-W", "error:::matplotlib", "-c", HEADLESS]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "UserWarning" not in done.stderr
    paths = re.findall(r"^No window can be opened here. The pictures are in (\S+) \(`path`", done.stdout, re.MULTILINE)
    assert len(set(paths)) == 2
    for path in map(Path, paths):
        assert path.parent == tmp_path
        assert decoded(path).shape == (112 + 24, 112, 4)


def test_show_layers_prints_what_is_shown(visualizer: Visualizer, capsys: pytest.CaptureFixture[str]) -> None:
    paths = visualizer.show_layers()
    lines = capsys.readouterr().out.splitlines()
    sizes = ["28×28×32", "28×28×64", "14×14×64", "14×14×64"]
    assert lines == [f"{n}. {path} {size}" for n, (path, size) in enumerate(zip(paths, sizes, strict=True), 1)]
    assert [re.sub(r"_\d+$", "", path) for path in paths] == ["conv2d", "conv2d", "max_pooling2d", "conv2d"]


def test_without_matplotlib_only_windows_are_missing(
    visualizer: Visualizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    visualizer.heatmap(random(28, 28))
    visualizer.blurmap(random(28, 28))
    assert len(visualizer.save_heatmaps(tmp_path)) == 4
    for call in (visualizer.show_heatmap, visualizer.show_blurmap):
        with pytest.raises(MissingExtraError, match=r'pip install "visualcnn-tf\[plot\]"'):
            call()
