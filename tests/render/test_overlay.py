"""Overlays against the same blend in NumPy, wherever they run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.render.colormaps import COLORMAPS, color_table

SIZE = (13, 17)
RANGES: dict[str, tuple[float, float] | None] = {
    "uint8": None,
    "unit": None,
    "bytes": (0, 255),
    "signed": (-1, 1),
    "half": None,
    "int32": None,
}


def image_of(kind: str, channels: int = 3, batch: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """An image of this kind, and its levels from 0 to 255 in float64."""
    levels = np.random.default_rng(len(kind)).integers(0, 256, (batch, *SIZE, channels))
    image = {
        "uint8": lambda: levels.astype(np.uint8),
        "int32": lambda: levels.astype(np.int32),
        "unit": lambda: (levels / 255).astype(np.float32),
        "half": lambda: (levels / 255).astype(np.float16),
        "bytes": lambda: levels.astype(np.float32),
        "signed": lambda: (levels / 127.5 - 1).astype(np.float32),
    }[kind]()
    return image, levels.astype(np.float64)


def heatmap_of(batch: int = 2) -> np.ndarray:
    heatmap = np.random.default_rng(1).random((batch, *SIZE)).astype(np.float32)
    heatmap[:, 0, :2] = 0, 1
    return heatmap


def blended(levels: np.ndarray, heatmap: np.ndarray, alpha: float, colormap: str, weighted: bool) -> np.ndarray:
    """The definition, in float64 and not rounded."""
    table = color_table(colormap).astype(np.float64)
    colors = table[np.round(heatmap.astype(np.float64) * (len(table) - 1)).astype(int)]
    opacity = alpha * heatmap[..., None].astype(np.float64) if weighted else alpha
    return (1 - opacity) * levels + opacity * colors


def assert_pictures(pictures: Any, expected: np.ndarray) -> None:
    pictures = np.asarray(pictures)
    assert pictures.dtype == np.uint8
    assert pictures.shape == (*expected.shape[:-1], 3)
    assert np.abs(pictures - expected).max() < 0.5 + 1e-3  # the nearest level, either one half-way between two


# --- values ---


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", RANGES)
def test_every_kind_of_image(kind: str, channels: int, weighted: bool) -> None:
    image, levels = image_of(kind, channels)
    pictures = vc.overlay(image, heatmap_of(), 0.3, weighted=weighted, value_range=RANGES[kind])
    if kind == "half":
        levels = image.astype(np.float64) * 255
    assert_pictures(pictures, blended(levels, heatmap_of(), 0.3, "turbo", weighted))


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_every_color_map(colormap: str) -> None:
    image, levels = image_of("uint8")
    assert_pictures(vc.overlay(image, heatmap_of(), 0.7, colormap), blended(levels, heatmap_of(), 0.7, colormap, False))


def test_alpha_0_is_the_image_and_1_the_colors() -> None:
    image, _ = image_of("uint8")
    np.testing.assert_array_equal(vc.overlay(image, heatmap_of(), 0), image)
    np.testing.assert_array_equal(vc.overlay(image, heatmap_of(), 1), vc.colorize(heatmap_of(), "turbo"))


def test_weighted_leaves_the_image_where_the_heatmap_is_0() -> None:
    image, _ = image_of("uint8")
    heatmap = heatmap_of()
    pictures = vc.overlay(image, heatmap, 1.0, weighted=True).numpy()
    np.testing.assert_array_equal(pictures[:, 0, 0], image[:, 0, 0])
    np.testing.assert_array_equal(pictures[:, 0, 1], np.broadcast_to(color_table("turbo")[-1], (2, 3)))


def test_uint8_heatmaps() -> None:
    image, levels = image_of("uint8")
    heatmap = np.round(heatmap_of() * 255).astype(np.uint8)
    expected = blended(levels, heatmap / 255, 0.5, "turbo", True)
    assert_pictures(vc.overlay(image, heatmap, weighted=True), expected)


def test_a_little_overshoot_is_clipped() -> None:
    image = np.array([-0.09, 0.5, 1.09], np.float32).reshape(1, 1, 3, 1)
    assert vc.overlay(image, np.zeros((1, 1, 3)), 0).numpy()[0, 0, :, 0].tolist() == [0, 128, 255]


def test_an_empty_batch() -> None:
    assert vc.overlay(np.zeros((0, 4, 4, 3)), np.zeros((0, 4, 4))).shape == (0, 4, 4, 3)


# --- bad input ---


@pytest.mark.parametrize(
    ("image", "value_range", "received"),
    [
        (image_of("bytes")[0], None, "from 0 to 255"),
        (image_of("signed")[0], None, "from -1 to 1"),
        (image_of("bytes")[0], (-1, 1), "from 0 to 255"),
        (image_of("int32")[0] * 2, None, "from 0 to 510"),
        (np.full((2, *SIZE, 3), np.nan, np.float32), None, "from nan to nan"),
    ],
    ids=["bytes as unit", "signed as unit", "bytes as signed", "integers", "nan"],
)
def test_values_that_contradict_their_range(image: Any, value_range: Any, received: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"`image` must be of values from.*{received}.*value_range="):
        vc.overlay(image, heatmap_of(), value_range=value_range)


@pytest.mark.parametrize("alpha", [-0.01, 1.01, float("nan"), True, "0.5", None, 50])
def test_alpha_out_of_range(alpha: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`alpha` must be a number from 0 .* to 1"):
        vc.overlay(image_of("uint8")[0], heatmap_of(), alpha)
    with pytest.raises(InvalidArgumentError, match=r"`alpha` must be a number from 0 .* to 1"):
        vc.Overlay(alpha)


@pytest.mark.parametrize("value_range", [(0,), (1, 0), (0, 0), "01", 255, (0, float("inf")), (None, 1)])
def test_bad_value_ranges(value_range: Any) -> None:
    for call in (lambda: vc.Overlay(value_range=value_range), lambda: overlay_with(value_range)):
        with pytest.raises(InvalidArgumentError, match=r"`value_range` must be None or two finite numbers"):
            call()


def overlay_with(value_range: Any) -> Any:
    return vc.overlay(image_of("unit")[0], heatmap_of(), value_range=value_range)


def test_weighted_is_yes_or_no() -> None:
    with pytest.raises(InvalidArgumentError, match="`weighted` must be one of True, False"):
        vc.overlay(image_of("unit")[0], heatmap_of(), weighted=0.5)


@pytest.mark.parametrize("shape", [(2, 13, 16), (2, 17, 13), (1, 13, 17), (2, 13, 17, 1), (13, 17), (2, 7, 9)])
def test_a_heatmap_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`heatmap` must be of the image's batch, height and width"):
        vc.overlay(image_of("uint8")[0], np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.zeros(SIZE), r"of shape \(B, H, W, C\)"),
        (np.zeros((*SIZE, 3)), r"of shape \(B, H, W, C\)"),
        (np.zeros((2, *SIZE, 2)), "of 1 or 3 channels"),
        (np.zeros((2, *SIZE, 4)), "of 1 or 3 channels"),
        (np.zeros((2, *SIZE, 3), bool), "of floats or integers"),
    ],
)
def test_images_that_are_none(image: np.ndarray, reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"`image` must be {reason}"):
        vc.overlay(image, heatmap_of())


# --- graphs, XLA, SavedModel, TFLite, layers ---

CASES = [("uint8", 3, False), ("unit", 1, True), ("bytes", 3, True), ("signed", 1, False)]


class Pictures(tf.Module):
    """Overlays as a function of tensors, to be exported."""

    def __init__(self, kind: str, channels: int, weighted: bool, dynamic: bool = False, jit: bool = False) -> None:
        image, _ = image_of(kind, channels)
        shape = [None] * 3 if dynamic else [1, *SIZE]
        specs = [tf.TensorSpec([*shape, channels], image.dtype, "image"), tf.TensorSpec(shape, name="heatmap")]
        options = {"weighted": weighted, "value_range": RANGES[kind]}
        call = lambda image, heatmap: {"overlay": vc.overlay(image, heatmap, 0.4, "viridis", **options)}  # noqa: E731
        self.call = tf.function(call, input_signature=specs, jit_compile=jit)


def one(kind: str, channels: int, weighted: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An image, its heatmap, and what is expected of them."""
    (image, levels), heatmap = image_of(kind, channels, batch=1), heatmap_of(1)
    return image, heatmap, blended(levels, heatmap, 0.4, "viridis", weighted)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize(("dynamic", "jit"), [(False, False), (True, False), (False, True)])
def test_in_a_graph(case: Any, dynamic: bool, jit: bool) -> None:
    image, heatmap, expected = one(*case)
    assert_pictures(Pictures(*case, dynamic, jit).call(image, heatmap)["overlay"], expected)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dynamic", [False, True])
def test_in_tensorflow_lite(case: Any, dynamic: bool) -> None:
    image, heatmap, expected = one(*case)
    module = Pictures(*case, dynamic)
    content = tf.lite.TFLiteConverter.from_concrete_functions([module.call.get_concrete_function()], module).convert()
    runner = interpreter(content).get_signature_runner()  # refuses what is not built in
    assert_pictures(runner(image=image, heatmap=heatmap)["overlay"], expected)


def test_in_a_saved_model(tmp_path: Path) -> None:
    image, heatmap, expected = one(*CASES[0])
    tf.saved_model.save(Pictures(*CASES[0]), str(tmp_path))
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    assert_pictures(served(image=tf.constant(image), heatmap=tf.constant(heatmap))["overlay"], expected)


def picture_model(**options: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((*SIZE, 3), name="image")
    features = keras.layers.Conv2D(4, 3, padding="same", name="conv")(images)
    heatmap = vc.FeatureMapFusion(size="input", name="fusion")(features, like=images)
    outputs = {"overlay": vc.Overlay(name="over", **options)(images, heatmap), "heatmap": heatmap}
    return keras.Model(images, {**outputs, "colors": vc.Colorize("jet", name="colors")(heatmap)})


def test_as_layers_of_a_saved_model_of_keras(tmp_path: Path) -> None:
    image, levels = image_of("signed")
    options = {"alpha": 0.6, "colormap": "cividis", "weighted": True, "value_range": (-1, 1)}
    model = picture_model(**options)
    outputs = model.predict(image, verbose=0)
    assert_pictures(outputs["overlay"], blended(levels, outputs["heatmap"], 0.6, "cividis", True))
    np.testing.assert_array_equal(outputs["colors"], vc.colorize(outputs["heatmap"], "jet"))
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for key, value in loaded.predict(image, verbose=0).items():
        np.testing.assert_array_equal(value, outputs[key])
    assert loaded.get_layer("over").get_config() == {"name": "over", "trainable": True, **options}


@pytest.mark.parametrize("layer", [vc.Overlay(0.2, "jet", weighted=True, value_range=[0, 255]), vc.Colorize("jet")])
def test_configs_go_round(layer: Any) -> None:
    config = json.loads(json.dumps(layer.get_config()))
    again = type(layer).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    assert again.colormap == "jet"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_rounds_no_pixel(policy: str) -> None:
    image, levels = image_of("bytes")
    keras.config.set_dtype_policy(policy)
    try:
        pictures = vc.Overlay(value_range=(0, 255))(image, heatmap_of())
    finally:
        keras.config.set_dtype_policy("float32")
    assert_pictures(pictures, blended(levels, heatmap_of(), 0.5, "turbo", False))


def test_layers_check_their_arguments() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`colormap` must be one of.*Did you mean 'jet'"):
        vc.Colorize("jett")
    with pytest.raises(InvalidArgumentError, match=r"`colormap` must be one of.*Did you mean 'turbo'"):
        vc.Overlay(colormap="turb")
    with pytest.raises(InvalidArgumentError, match="`weighted` must be one of True, False"):
        vc.Overlay(weighted="yes")
