"""Models that crop, pad or stretch what they see: heatmaps lie where the pixels come from."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from keras import ops

import visualcnn_tf as vc
from visualcnn_tf.errors import PositionsUnknownWarning

HEIGHT, WIDTH = 32, 64
ALL = ((0, HEIGHT), (0, WIDTH))


def identity(**options: Any) -> Any:
    """A convolution that returns its input as it is."""
    return L.Conv2D(1, 1, kernel_initializer="ones", name="conv", **options)


def classifier(first: Callable[[Any], Any], shape: Any = (HEIGHT, WIDTH, 1), conv: Any = None) -> Any:
    image = keras.Input(shape)
    maps = (conv or identity())(first(image))
    pooled = ops.mean(maps, axis=tuple(range(1, len(maps.shape) - 1)))
    return keras.Model(image, L.Dense(2, activation="softmax")(pooled))


def pixels(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).random(shape or (2, HEIGHT, WIDTH, 1)).astype("float32")


def raw(model: Any, x: Any, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explained = vc.attach(model, "conv", method="mean", normalize=None, **options)
    return explained.predict(x, verbose=0)["heatmap_conv"]


def inside(x: Any, box: Any) -> Any:
    """The images with zeros outside of a box, which is one pair of pixels for each axis."""
    seen = np.zeros_like(x)
    part = (slice(None), *(slice(*ends) for ends in box))
    seen[part] = x[part]
    return seen[..., 0]


def function(f: Callable[[Any], Any]) -> Any:
    return L.Lambda(f)


def nested(layer: Any) -> Any:
    image = keras.Input((HEIGHT, WIDTH, 1))
    return keras.Sequential([keras.Model(image, layer(image), name="inner"), L.Rescaling(1.0)])


CROPS: dict[str, tuple[Callable[[], Any], Any]] = {
    "center crop": (lambda: L.CenterCrop(32, 32), ((0, 32), (16, 48))),
    "center crop of odd margins": (lambda: L.CenterCrop(31, 33), ((0, 31), (15, 48))),
    "crop to aspect ratio": (lambda: L.Resizing(32, 32, crop_to_aspect_ratio=True), ((0, 32), (16, 48))),
    "pad to aspect ratio": (lambda: L.Resizing(64, 64, pad_to_aspect_ratio=True), ALL),
    "random crop, which crops in training only": (lambda: L.RandomCrop(32, 32), ALL),
    "cropping": (lambda: L.Cropping2D(((0, 0), (0, 32))), ((0, 32), (0, 32))),
    "zero padding": (lambda: L.ZeroPadding2D(((0, 0), (0, 64))), ALL),
    "zero padding on all sides": (lambda: L.ZeroPadding2D(((3, 5), (7, 11))), ALL),
    "slices": (lambda: lambda x: x[:, 4:28, -40:-8], ((4, 28), (24, 56))),
    "ops.pad": (lambda: lambda x: ops.pad(x, ((0, 0), (8, 0), (0, 16), (0, 0)), mode="reflect"), ALL),
    "tf.slice": (lambda: function(lambda x: tf.slice(x, [0, 2, 3, 0], [-1, 10, -1, -1])), ((2, 12), (3, 64))),
    "tf.split": (lambda: function(lambda x: tf.split(x, 4, axis=2)[1]), ((0, 32), (16, 32))),
    "tf.gather": (lambda: function(lambda x: tf.gather(x, range(5, 25), axis=1)), ((5, 25), (0, 64))),
    "central crop": (lambda: function(lambda x: tf.image.central_crop(x, 0.5)), ((8, 24), (16, 48))),
    "crop to a box": (lambda: function(lambda x: tf.image.crop_to_bounding_box(x, 3, 5, 20, 40)), ((3, 23), (5, 45))),
    "pad to a box": (lambda: function(lambda x: tf.image.pad_to_bounding_box(x, 3, 5, 40, 80)), ALL),
    "crop or pad": (lambda: function(lambda x: tf.image.resize_with_crop_or_pad(x, 48, 32)), ((0, 32), (16, 48))),
    "padding, then a crop": (
        lambda: lambda x: L.Cropping2D(((0, 8), (10, 20)))(L.ZeroPadding2D(((4, 0), (6, 2)))(x)),
        ((0, 24), (4, 46)),
    ),
    "a crop, then padding": (
        lambda: lambda x: L.ZeroPadding2D(((9, 1), (0, 6)))(L.Cropping2D(((2, 8), (10, 20)))(x)),
        ((2, 24), (10, 44)),
    ),
    "in a nested model": (lambda: nested(L.CenterCrop(16, 32)), ((8, 24), (16, 48))),
    "by a concatenation with zeros": (
        lambda: lambda x: ops.concatenate([ops.zeros_like(x), x[:, 8:]], axis=1),
        ((8, 32), (0, 64)),
    ),
    "transposed and back": (
        lambda: lambda x: ops.transpose(ops.transpose(x, (0, 3, 2, 1))[:, :, 8:, 4:], (0, 3, 2, 1)),
        ((4, 32), (8, 64)),
    ),
    "reshaped and back": (
        lambda: lambda x: ops.reshape(ops.reshape(x[:, 8:, 16:], (-1, 24 * 48, 1)), (-1, 24, 48, 1)),
        ((8, 32), (16, 64)),
    ),
    "flipped twice": (lambda: lambda x: ops.flip(ops.flip(x, axis=2)[:, :, 8:], axis=2), ((0, 32), (0, 56))),
    "rolled and back": (lambda: lambda x: ops.roll(ops.roll(x, -3, axis=1), 3, axis=1)[:, 8:], ((8, 32), (0, 64))),
}


@pytest.mark.sweep(cases=10)
@pytest.mark.parametrize("name", CROPS)
def test_a_map_of_single_pixels_shows_them_where_they_are(name: str) -> None:
    first, box = CROPS[name]
    x = pixels()
    np.testing.assert_allclose(raw(classifier(first()), x), inside(x, box), atol=1e-6)


def test_the_map_is_normalized_where_it_covers_the_image() -> None:
    x, model = pixels() + 5.0, classifier(L.CenterCrop(32, 32))
    heatmap = vc.attach(model, "conv", method="mean").predict(x, verbose=0)["heatmap_conv"]
    part = x[:, :, 16:48, 0]
    low, high = (f(part, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    np.testing.assert_allclose(heatmap[:, :, 16:48], (part - low) / (high - low), atol=1e-5)
    assert not heatmap[:, :, :16].any()
    assert not heatmap[:, :, 48:].any()


def test_padding_is_cut_off_before_the_map_is_normalized() -> None:
    x, model = pixels() + 5.0, classifier(L.ZeroPadding2D(((0, 16), (8, 8))))
    heatmap = vc.attach(model, "conv", method="mean").predict(x, verbose=0)["heatmap_conv"]
    low, high = (f(x[..., 0], axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    np.testing.assert_allclose(heatmap, (x[..., 0] - low) / (high - low), atol=1e-5)


def test_a_map_of_its_own_size_is_not_placed() -> None:
    x, model = pixels(), classifier(L.CenterCrop(32, 32))
    np.testing.assert_allclose(raw(model, x, size=None), x[:, :, 16:48, 0], atol=1e-6)


def test_a_map_of_a_given_size_is_a_picture_of_the_whole_image() -> None:
    x, model = pixels(), classifier(L.CenterCrop(32, 32))
    heatmap = raw(model, x, size=(16, 32), interpolation="area")
    want = inside(x, ((0, 32), (16, 48))).reshape(2, 16, 2, 32, 2).mean((2, 4))
    np.testing.assert_allclose(heatmap, want, atol=1e-6)


def test_a_crop_after_a_strided_convolution_counts_pixels_of_the_image() -> None:
    pooled = L.AveragePooling2D(4)
    model = classifier(lambda x: L.Cropping2D(((1, 2), (3, 5)))(pooled(x)))
    heatmap = raw(model, pixels(), interpolation="nearest")
    want = pixels()[..., 0].reshape(2, 8, 4, 16, 4).mean((2, 4)).repeat(4, 1).repeat(4, 2)
    np.testing.assert_allclose(heatmap, inside(want[..., None], ((4, 24), (12, 44))), atol=1e-6)


def object_box(heatmap: Any) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(heatmap > 0.5 * heatmap.max())
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def test_a_u_net_of_valid_convolutions_shows_objects_where_its_skips_do() -> None:
    image = keras.Input((64, 64, 1))
    down = L.Conv2D(1, 3, kernel_initializer="ones")(L.Conv2D(1, 3, kernel_initializer="ones")(image))  # 60
    deep = L.Conv2D(1, 3, kernel_initializer="ones")(L.MaxPooling2D()(down))  # 28
    up = L.UpSampling2D()(deep)  # 56
    joined = L.Concatenate()([L.Cropping2D(2)(down), up * 0.0])
    mask = L.Conv2D(1, 1, kernel_initializer="ones", activation="sigmoid", name="conv")(joined)
    model = keras.Model(image, mask)
    x = np.zeros((1, 64, 64, 1), "float32")
    x[0, 20:30, 40:46] = 1.0
    heatmap = vc.attach(model, "conv", method="mean").predict(x, verbose=0)["heatmap_conv"][0]
    found, want = np.array(object_box(heatmap)), np.array([20, 29, 40, 45])
    assert np.abs(found - want).max() <= 3  # a 5x5 window blurs it; stretched, it would lie 4 pixels further in


@pytest.mark.parametrize(
    ("first", "shape"),
    [
        (L.ZeroPadding2D(3), {"kernel_size": 7, "strides": 2}),
        (L.ZeroPadding2D(((0, 1), (0, 1))), {"kernel_size": 3, "strides": 2}),
        (lambda x: L.ReLU()(L.BatchNormalization()(L.ZeroPadding2D(1)(x))), {"kernel_size": 3}),
        (lambda x: L.ZeroPadding2D(((4, 0), (0, 0)))(x), {"kernel_size": (5, 1)}),
    ],
)
def test_padding_for_a_convolution_moves_nothing(first: Any, shape: Any) -> None:
    model = classifier(first, conv=L.Conv2D(2, name="conv", **shape))
    assert vc.attach(model, "conv").taps[0].region is None


def _padded(before: int, after: int) -> Any:
    return L.ZeroPadding2D(((0, 0), (before, after)))


def _residual(x: Any) -> Any:
    return x + L.Conv2D(1, 3, padding="same")(x)


BEYOND: dict[str, tuple[Callable[[], Any], Any]] = {
    "an odd number of positions": (
        lambda: lambda x: L.Conv2D(1, 3, 2, padding="same")(_padded(16, 1)(x)),
        (-16, 65),
    ),
    "a convolution that uses some of it up": (lambda: lambda x: L.Conv2D(1, 3, 2)(_padded(16, 1)(x)), (-15, 64)),
    "on both branches of a block": (lambda: lambda x: L.Conv2D(1, 3)(_residual(_padded(16, 0)(x))), (-14, 64)),
    "a dilated convolution": (lambda: lambda x: L.Conv2D(1, 5, dilation_rate=2)(_padded(16, 1)(x)), (-9, 64)),
    "a dilated convolution of even size": (
        lambda: lambda x: L.Conv2D(1, 5, dilation_rate=2)(_padded(17, 1)(x)),
        (-10, 64),
    ),
    "two of them": (
        lambda: lambda x: L.Conv2D(1, 3)(L.Conv2D(1, 3, padding="same", dilation_rate=2)(_padded(16, 0)(x))),
        (-14, 64),
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_padding_beyond_what_convolutions_use_up(name: str) -> None:
    first, columns = BEYOND[name]
    tap = vc.attach(classifier(first()), "conv", method="mean").taps[-1]
    np.testing.assert_allclose(np.multiply(tap.region.box[1], WIDTH), columns, atol=1e-6)


@pytest.mark.parametrize("width", [63, 64])
def test_a_dilated_convolution_without_padding_moves_nothing(width: int) -> None:
    model = classifier(lambda x: L.Conv2D(1, 5, dilation_rate=2)(x), (HEIGHT, width, 1))
    assert vc.attach(model, "conv", method="mean").taps[-1].region is None


def test_branches_that_differ_by_a_pixel_move_nothing() -> None:
    """As in NASNet, which shifts one of two branches by a pixel before both are halved."""

    def halved(x: Any) -> Any:
        shifted = L.Cropping2D(((1, 0), (1, 0)))(L.ZeroPadding2D(((0, 1), (0, 1)))(x))
        return L.Concatenate()([L.AveragePooling2D(1, 2)(x), L.AveragePooling2D(1, 2)(shifted)])

    model = classifier(lambda x: halved(halved(halved(x))))
    assert vc.attach(model, "conv").taps[0].region is None


def test_time_steps_are_placed_alike() -> None:
    clip = keras.Input((3, HEIGHT, WIDTH, 1))
    frame = keras.Sequential([keras.Input((HEIGHT, WIDTH, 1)), L.CenterCrop(32, 32), identity()], name="frame")
    maps = L.TimeDistributed(frame)(clip)
    model = keras.Model(clip, L.Dense(2)(L.GlobalAveragePooling3D()(maps)))
    x = pixels(2, 3, HEIGHT, WIDTH, 1)
    explained = vc.attach(model, "*conv", method="mean", normalize=None)
    heatmap = explained.predict(x, verbose=0)[explained.taps[0].key]
    want = inside(x, ((0, 3), (0, 32), (16, 48)))
    np.testing.assert_allclose(heatmap, want, atol=1e-6)


def test_a_crop_before_time_steps() -> None:
    clip = keras.Input((3, HEIGHT, WIDTH, 1))
    frame = keras.Sequential([keras.Input((HEIGHT - 8, WIDTH, 1)), identity()], name="frame")
    maps = L.TimeDistributed(frame)(clip[:, :, 8:])
    model = keras.Model(clip, L.Dense(2)(L.GlobalAveragePooling3D()(maps)))
    x = pixels(2, 3, HEIGHT, WIDTH, 1)
    explained = vc.attach(model, "*conv", method="mean", normalize=None)
    heatmap = explained.predict(x, verbose=0)[explained.taps[0].key]
    np.testing.assert_allclose(heatmap, inside(x, ((0, 3), (8, 32), (0, 64))), atol=1e-6)


def test_signals_and_volumes() -> None:
    x = pixels(2, 40, 1)
    signal = classifier(L.Cropping1D((10, 6)), (40, 1), L.Conv1D(1, 1, kernel_initializer="ones", name="conv"))
    np.testing.assert_allclose(raw(signal, x), inside(x, ((10, 34),)), atol=1e-6)
    causal = classifier(lambda x: x, (40, 1), L.Conv1D(1, 5, padding="causal", name="conv"))
    assert vc.attach(causal, "conv").taps[0].region is None
    x = pixels(2, 8, 10, 12, 1)
    crop = L.Cropping3D(((1, 2), (0, 3), (4, 0)))
    volume = classifier(crop, (8, 10, 12, 1), L.Conv3D(1, 1, kernel_initializer="ones", name="conv"))
    np.testing.assert_allclose(raw(volume, x), inside(x, ((1, 6), (0, 7), (4, 12))), atol=1e-6)


def test_a_transposed_image_is_shown_as_it_came() -> None:
    x, model = pixels(), classifier(lambda x: L.Permute((2, 1, 3))(x)[:, 8:, 2:])
    np.testing.assert_allclose(raw(model, x), inside(x, ((2, 32), (8, 64))), atol=1e-6)


# Sizes that the model leaves open ----------------------------------------------------------------------------------


OPEN: dict[str, tuple[Callable[[], Any], Callable[[int, int], Any]]] = {
    "center crop": (
        lambda: L.CenterCrop(16, 16),
        lambda h, w: ((h // 2 - 8, h // 2 + 8), (w // 2 - 8, w // 2 + 8)),
    ),
    "crop to aspect ratio": (
        lambda: L.Resizing(24, 24, crop_to_aspect_ratio=True, interpolation="nearest"),
        lambda h, w: (((h - min(h, w)) // 2, (h + min(h, w)) // 2), ((w - min(h, w)) // 2, (w + min(h, w)) // 2)),
    ),
    "cropping": (lambda: L.Cropping2D(((2, 4), (6, 8))), lambda h, w: ((2, h - 4), (6, w - 8))),
    "padding": (lambda: L.ZeroPadding2D(((2, 4), (6, 8))), lambda h, w: ((0, h), (0, w))),
}


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("name", OPEN)
def test_open_sizes(name: str) -> None:
    first, box = OPEN[name]
    explained = vc.attach(classifier(first(), (None, None, 1)), "conv", method="mean", interpolation="nearest")
    assert explained.taps[0].has_open_region
    for height, width in ((24, 48), (48, 24), (32, 32)):
        x = np.ones((2, height, width, 1), "float32") + np.arange(height)[:, None, None] / 100
        rows, columns = box(height, width)
        for heatmap in (explained.predict(x, verbose=0)["heatmap_conv"], explained(x)["heatmap_conv"].numpy()):
            assert heatmap.shape == (2, height, width)
            seen = np.nonzero(heatmap[0, (rows[0] + rows[1]) // 2])[0]
            assert (seen.min(), seen.max() + 1) == columns
            seen = np.nonzero(heatmap[0, :, (columns[0] + columns[1]) // 2])[0]
            assert rows[0] <= seen.min() <= rows[0] + 2  # the first row has the lowest value, zero
            assert seen.max() + 1 == rows[1]


def test_padding_to_the_aspect_ratio_of_an_open_size() -> None:
    model = classifier(L.Resizing(32, 32, pad_to_aspect_ratio=True), (None, None, 1))
    explained = vc.attach(model, "conv", method="mean", normalize=None)
    for height, width in ((32, 16), (16, 32)):
        x = pixels(2, height, width, 1)
        np.testing.assert_allclose(explained.predict(x, verbose=0)["heatmap_conv"], x[..., 0], atol=1e-5)


def test_open_sizes_without_crops_run_as_before() -> None:
    taps = vc.attach(classifier(L.ZeroPadding2D(1), (None, None, 1), L.Conv2D(2, 3, name="conv")), "conv").taps
    assert (taps[0].region, taps[0].has_open_region) == (None, False)


# What can't be followed ---------------------------------------------------------------------------------------------


def _one_crop_of_each(x: Any) -> Any:
    examples = tf.range(tf.shape(x)[0])
    boxes = tf.tile([[0.0, 0.0, 0.5, 0.5]], [tf.shape(x)[0], 1])
    return tf.image.crop_and_resize(x, boxes, examples, (8, 8))


UNKNOWN: dict[str, tuple[Callable[[], Any], str]] = {
    "flip": (lambda: lambda x: ops.flip(x, axis=2), "ReverseV2"),
    "reversed slice": (lambda: lambda x: x[:, ::-1], "StridedSlice"),
    "roll": (lambda: lambda x: ops.roll(x, 5, axis=1), "Roll"),
    "affine": (
        lambda: lambda x: ops.image.affine_transform(x, np.array([1.0, 0, 3, 0, 1, 4, 0, 0], "float32")),
        "",
    ),
    "crop and resize": (
        lambda: function(_one_crop_of_each),
        "CropAndResize",
    ),
    "gather": (lambda: function(lambda x: tf.gather(x, [3, 1, 2, 7], axis=1)), "GatherV2"),
    "stitched crops": (lambda: lambda x: ops.concatenate([x[:, :, 40:], x[:, :, :8]], axis=2), "ConcatV2"),
    "added crops": (lambda: lambda x: x[:, :, 40:] + x[:, :, :24], "Add"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_can_not_be_followed_is_named(name: str) -> None:
    first, operation = UNKNOWN[name]
    model = classifier(first())
    with pytest.warns(
        PositionsUnknownWarning, match=rf"`layers`: the operation .*{operation}.* of 'conv' are stretched"
    ):
        explained = vc.attach(model, "conv", method="mean")
    assert explained.taps[0].region is None
    assert explained.predict(pixels(), verbose=0)["heatmap_conv"].shape == (2, HEIGHT, WIDTH)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vc.attach(model, "conv", method="mean", size=None)


def test_random_augmentation_does_nothing_in_inference() -> None:
    x = pixels()
    augmented = keras.Sequential([L.RandomFlip(), L.RandomTranslation(0.2, 0.2), L.RandomRotation(0.1)])
    np.testing.assert_allclose(
        raw(classifier(lambda x: L.CenterCrop(32, 32)(augmented(x))), x), inside(x, ((0, 32), (16, 48))), atol=1e-6
    )


# Wherever heatmaps go ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cropped() -> Any:
    keras.utils.set_random_seed(1)
    image = keras.Input((HEIGHT, WIDTH, 3), name="image")
    x = L.ZeroPadding2D(((0, 0), (8, 0)))(L.Cropping2D(((0, 0), (16, 8)))(image))
    maps = L.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(x)
    return keras.Model(image, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(maps)))


X = pixels(2, HEIGHT, WIDTH, 3)


def test_saved_and_loaded(cropped: Any, tmp_path: Path) -> None:
    explained = vc.attach(cropped, "conv", method=["gradcam", "deviation"])
    want = explained.predict(X, verbose=0)
    assert not want["heatmap_conv_gradcam"][:, :, :8].any()
    explained.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.taps == explained.taps
    for key, value in loaded.predict(X, verbose=0).items():
        np.testing.assert_allclose(value, want[key], atol=1e-5)


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_exported(cropped: Any, tmp_path: Path, dtype: str) -> None:
    explained = vc.attach(cropped, "conv", method="gradcam", heatmap_dtype=dtype)
    want = explained.predict(X, verbose=0)["heatmap_conv"]
    vc.export_saved_model(explained, tmp_path / "saved")
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"](image=tf.constant(X))
    np.testing.assert_allclose(served["heatmap_conv"].numpy().astype(float), want.astype(float), atol=1e-4)
    vc.export_tflite(explained, tmp_path / "model.tflite")
    runner = tf.lite.Interpreter(str(tmp_path / "model.tflite")).get_signature_runner("serving_default")
    got = runner(image=X[:1])["heatmap_conv"]
    np.testing.assert_allclose(got.astype(float), want[:1].astype(float), atol=1.0 if dtype == "uint8" else 1e-4)


@pytest.mark.slow
def test_compiled(cropped: Any) -> None:
    want = vc.attach(cropped, "conv", method="gradcam").predict(X, verbose=0)["heatmap_conv"]
    got = vc.attach(cropped, "conv", method="gradcam", jit_compile=True).predict(X, verbose=0)["heatmap_conv"]
    np.testing.assert_allclose(got, want, atol=1e-5)
    whole = tf.function(vc.attach(cropped, "conv", method="gradcam"), jit_compile=True)
    np.testing.assert_allclose(whole(X)["heatmap_conv"], want, atol=1e-4)


def test_overlays_leave_alone_what_the_model_does_not_see(cropped: Any) -> None:
    explained = vc.attach(cropped, "conv", method="gradcam", render="overlay", pixels="0..1", combine="mean")
    outputs = explained.predict(X, verbose=0)
    assert not outputs["heatmap"][:, :, :8].any()
    painted = vc.overlay(X, np.zeros((2, HEIGHT, WIDTH), "float32"))
    np.testing.assert_allclose(outputs["overlay_conv"][:, :, :8], painted[:, :, :8], atol=1)


def test_score_cam_masks_what_the_maps_show(cropped: Any) -> None:
    explained = vc.attach(cropped, "conv", method="scorecam", size=None, normalize=None, target=1)
    got = explained.predict(X, verbose=0)["heatmap_conv"]
    conv = keras.Model(cropped.input, cropped.get_layer("conv").output)
    logits = keras.Model(cropped.input, cropped.layers[-1].input)
    dense = cropped.layers[-1]
    maps = conv.predict(X, verbose=0).astype("float64")
    for image, example in enumerate(maps):
        scores = []
        for channel in range(4):
            large = tf.image.resize(example[..., channel, None], (32, 48)).numpy()[..., 0]
            seen = large[:, 8:]  # of the padded picture
            span = seen.max() - seen.min()
            mask = np.zeros((HEIGHT, WIDTH))
            mask[:, 16:56] = (seen - seen.min()) / span if span > 0 else 0.0
            pooled = logits.predict((X[image] * mask[..., None])[None].astype("float32"), verbose=0)
            scores.append((pooled @ dense.kernel.numpy() + dense.bias.numpy())[0, 1])
        weights = np.exp(scores - np.max(scores)) / np.exp(scores - np.max(scores)).sum()
        np.testing.assert_allclose(got[image], np.maximum(example @ weights, 0.0), atol=1e-5)


def test_quantized_to_int8(cropped: Any, tmp_path: Path) -> None:
    explained = vc.attach(cropped, "conv", method="gradcam", target=1)
    examples = pixels(24, HEIGHT, WIDTH, 3)
    vc.export_tflite(explained, tmp_path / "model.tflite", quantize="int8", representative_data=examples)
    runner = tf.lite.Interpreter(str(tmp_path / "model.tflite")).get_signature_runner("serving_default")
    got = np.stack([runner(image=one[np.newaxis])["heatmap_conv"][0] for one in examples[:6]])
    want = explained.predict(examples[:6], verbose=0)["heatmap_conv"]
    assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.999
    assert not got[:, :, :8].any()
    assert not got[:, :, 56:].any()


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH, 1), (None, None, 1)])
def test_the_visualizer(shape: Any) -> None:
    model, x = classifier(L.CenterCrop(32, 32), shape), pixels()
    (heatmaps,) = vc.Visualizer(model).heatmap(x)
    part = x[:, :, 16:48, 0]
    part = np.abs(part - part.mean(axis=(1, 2), keepdims=True))  # its method is "deviation"
    low, high = (f(part, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    np.testing.assert_allclose(heatmaps[:, :, 16:48], (part - low) / (high - low), atol=1e-5)
    assert not heatmaps[:, :, :16].any()
    assert not heatmaps[:, :, 48:].any()
