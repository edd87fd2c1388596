"""Colors against the formula of `heat`, blurs against scipy, and both inside graphs, XLA and TFLite."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError


def random(*shape: int, dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(sum(shape)).random(shape)
    return (values * 255).round().astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


def heat_color(n: int) -> tuple[int, int, int]:
    """One entry of the color map, written as plainly as possible."""
    channels = (0.3355 * n + 2.236, 1.6 * n - 1105, 2.7522e-9 * n**3.6499 - 30.9771)
    red, green, blue = (int(max(0.0, min(255.0, value))) for value in channels)
    return red, green, blue


def scipy_blurmap(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """The definition, pixel by pixel, in float64; not rounded."""
    image = image.astype(np.float64)
    sigmas = [0.3 * n for n in range(11, 0, -1)]
    levels = [ndimage.gaussian_filter(image, (0, s, s, 0), mode="reflect", truncate=4.0) for s in sigmas]
    levels.append(image)
    out = np.empty_like(image)
    for position, value in np.ndenumerate(heatmap):
        out[position] = levels[min(11, int(12 * value))][position]
    return out


# --- colors ---


def test_heat_is_the_formula() -> None:
    colors = vc.colorize(np.arange(1001) / 1000, "heat").numpy()
    assert colors.dtype == np.uint8
    assert colors.tolist() == [list(heat_color(n)) for n in range(1001)]


def test_gray_is_the_value() -> None:
    colors = vc.colorize(np.arange(256) / 255, "gray").numpy()
    assert colors.tolist() == [[n, n, n] for n in range(256)]


def test_a_value_gets_the_nearest_entry() -> None:
    colors = vc.colorize([[0.4994, 0.4996]], "heat").numpy()
    assert colors[0].tolist() == [list(heat_color(499)), list(heat_color(500))]


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4), (0, 3, 4)])
def test_colors_are_a_new_last_axis(shape: tuple[int, ...]) -> None:
    values = random(*shape)
    expected = [heat_color(round(1000 * float(v))) for v in values.ravel()]
    np.testing.assert_array_equal(vc.colorize(values, "heat").numpy(), np.reshape(expected, (*shape, 3)))


def test_values_outside_are_clipped_and_nan_is_zero() -> None:
    values = np.array([-0.1, -np.inf, np.nan, 1.1, np.inf])
    assert vc.colorize(values, "gray").numpy()[:, 0].tolist() == [0, 0, 0, 255, 255]


@pytest.mark.parametrize("dtype", ["float16", "float64", "bfloat16"])
def test_every_float_type_is_colored(dtype: str) -> None:
    values = tf.cast([0.0, 0.25, 0.5, 1.0], dtype)
    assert vc.colorize(values, "heat").numpy().tolist() == [list(heat_color(n)) for n in (0, 250, 500, 1000)]


def test_uint8_heatmaps_reach_from_0_to_255() -> None:
    values = np.array([0, 51, 255], np.uint8)
    assert vc.colorize(values, "heat").numpy().tolist() == [list(heat_color(n)) for n in (0, 200, 1000)]


def test_a_heatmap_of_integers_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`heatmap` must be of floats.*Received: 'int32'"):
        vc.colorize([0, 1])


# --- the blurmap ---


@pytest.mark.parametrize(
    "shape",
    [(1, 28, 28, 1), (3, 20, 31, 3), (1, 3, 5, 2), (2, 1, 7, 1), (1, 1, 1, 3), (1, 60, 9, 4)],
    ids=str,
)
def test_blurmap_is_scipys(shape: tuple[int, ...]) -> None:
    image, heatmap = random(*shape), random(*shape[:3])
    blurred = vc.blur_by_importance(image, heatmap).numpy()
    assert blurred.dtype == np.float32
    np.testing.assert_allclose(blurred, scipy_blurmap(image, heatmap), atol=2e-6)


@pytest.mark.parametrize("level", range(12))
def test_each_level_is_scipys(level: int) -> None:
    image = random(1, 17, 40, 3)
    heatmap = np.full((1, 17, 40), (level + 0.5) / 12, np.float32)
    blurred = vc.blur_by_importance(image, heatmap).numpy()
    np.testing.assert_allclose(blurred, scipy_blurmap(image, heatmap), atol=2e-6)


def test_the_highest_level_is_the_image_itself() -> None:
    image = random(1, 9, 9, 1)
    heatmap = np.array([0.0, 0.9, 11 / 12 + 1e-6, 1.0, 0.2, 0.4, 0.6, 0.8, 1.0], np.float32)
    heatmap = np.broadcast_to(heatmap, (1, 9, 9))
    same = (vc.blur_by_importance(image, heatmap).numpy() == image)[..., 0]
    np.testing.assert_array_equal(same, heatmap >= 11 / 12)


def test_an_image_of_one_value_stays_it() -> None:
    image = np.full((1, 5, 40, 1), 200, np.uint8)
    np.testing.assert_array_equal(vc.blur_by_importance(image, random(1, 5, 40)).numpy(), image)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_integer_images_stay_integer(dtype: str) -> None:
    image, heatmap = random(2, 20, 30, 3, dtype=dtype), random(2, 20, 30)
    blurred = vc.blur_by_importance(image, heatmap).numpy()
    assert blurred.dtype == dtype
    exact = scipy_blurmap(image, heatmap)
    assert np.max(np.abs(blurred - exact)) < 0.5 + 1e-3
    sharp = heatmap >= 11 / 12
    np.testing.assert_array_equal(blurred[sharp], image[sharp])


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("float64", 1e-14)])
def test_other_floats_keep_their_type(dtype: str, tolerance: float) -> None:
    image, heatmap = random(1, 12, 30, 1, dtype=dtype), random(1, 12, 30)
    blurred = vc.blur_by_importance(image, heatmap).numpy()
    assert blurred.dtype == dtype
    np.testing.assert_allclose(blurred, scipy_blurmap(image, heatmap), atol=tolerance)


def test_images_of_a_batch_do_not_mix() -> None:
    images, heatmaps = random(3, 10, 12, 2), random(3, 10, 12)
    together = vc.blur_by_importance(images, heatmaps).numpy()
    for i in range(3):
        alone = vc.blur_by_importance(images[i : i + 1], heatmaps[i : i + 1]).numpy()
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-6)


def test_nan_in_a_heatmap_is_the_lowest_level() -> None:
    image = random(1, 6, 6, 1)
    nan, zero = np.full((1, 6, 6), np.nan, np.float32), np.zeros((1, 6, 6), np.float32)
    blurred = vc.blur_by_importance(image, nan).numpy()
    np.testing.assert_array_equal(blurred, vc.blur_by_importance(image, zero).numpy())


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`image` must be of shape \(B, H, W, C\)"):
        vc.blur_by_importance(random(8, 8), random(8, 8))
    with pytest.raises(InvalidArgumentError, match=r"`heatmap` must be of the image's batch.*\(1, 8, 8\)"):
        vc.blur_by_importance(random(1, 8, 8, 3), random(1, 4, 4))


# --- the layer ---


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_layer_is_the_function(dtype: str, policy: str) -> None:
    image, heatmap = random(2, 9, 11, 3, dtype=dtype), random(2, 9, 11)
    keras.config.set_dtype_policy(policy)
    try:
        blurred = vc.BlurByImportance()(image, heatmap)
    finally:
        keras.config.set_dtype_policy("float32")
    assert blurred.dtype == dtype
    np.testing.assert_array_equal(blurred, vc.blur_by_importance(image, heatmap))


def test_the_layer_in_a_saved_model_of_keras(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    images = keras.Input((9, 11, 3))
    heatmap = vc.FeatureMapFusion(size="input")(keras.layers.Conv2D(2, 3)(images), like=images)
    outputs = {"blurred": vc.BlurByImportance(name="blur")(images, heatmap), "heatmap": heatmap}
    keras.Model(images, outputs).save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    image = random(2, 9, 11, 3)
    found = loaded.predict(image, verbose=0)
    np.testing.assert_allclose(found["blurred"], scipy_blurmap(image, found["heatmap"]), atol=2e-6)
    assert loaded.get_layer("blur").get_config() == {"name": "blur", "trainable": True}


# --- graphs, XLA, TFLite ---


def both(image: tf.Tensor, heatmap: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"blurred": vc.blur_by_importance(image, heatmap), "colors": vc.colorize(heatmap)}


def signature(*shape: int | None) -> list[tf.TensorSpec]:
    return [tf.TensorSpec([*shape, 3], name="image"), tf.TensorSpec(shape, name="heatmap")]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graph_and_xla_equal_eager(jit_compile: bool) -> None:
    image, heatmap = random(2, 14, 30, 3), random(2, 14, 30)
    compiled = tf.function(both, jit_compile=jit_compile)(image, heatmap)
    for name, expected in both(image, heatmap).items():
        np.testing.assert_allclose(compiled[name].numpy(), expected.numpy(), atol=1e-6)


def test_one_graph_serves_every_size() -> None:
    compiled = tf.function(both, input_signature=signature(None, None, None))
    for shape in [(1, 14, 30), (2, 3, 2), (1, 50, 20)]:
        image, heatmap = random(*shape, 3), random(*shape)
        blurred = compiled(image, heatmap)["blurred"].numpy()
        np.testing.assert_allclose(blurred, scipy_blurmap(image, heatmap), atol=2e-6)
    assert compiled.experimental_get_tracing_count() == 1


def test_static_sizes_stay_known() -> None:
    compiled = tf.function(both, input_signature=signature(None, 14, 30))
    out = compiled.get_concrete_function().structured_outputs
    assert out["blurred"].shape.as_list() == [None, 14, 30, 3]
    assert out["colors"].shape.as_list() == [None, 14, 30, 3]


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("shape", [(1, 14, 30), (None, None, None)], ids=["static", "dynamic"])
def test_tflite_needs_builtins_only(shape: tuple[int | None, ...]) -> None:
    holder = tf.Module()
    concrete = tf.function(both, input_signature=signature(*shape)).get_concrete_function()
    content = tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder).convert()
    image, heatmap = random(1, 14, 30, 3), random(1, 14, 30)
    interpreter = tf.lite.Interpreter(model_content=content)
    outputs = interpreter.get_signature_runner()(image=image, heatmap=heatmap)
    for name, expected in both(image, heatmap).items():
        np.testing.assert_allclose(outputs[name], expected.numpy(), atol=1e-6)
