"""A map that holds no evidence beyond rounding is all zeros: what cancels in float64 is not a picture in float32."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support import oracle, oracle_gradient
from support.oracle import assert_close
from support.runtimes import run_litert

import visualcnn_tf as vc
from visualcnn_tf.methods.fuse import fuse as fuse_maps

EPSILON = 1e-6


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def fuse(method: str, *given: Any, relu: bool = False) -> np.ndarray:
    made = vc.methods.get(method)
    made = type(made)(relu=relu) if hasattr(made, "relu") else made
    return fuse_maps(made, *given)[0].numpy()


# --- a feature map that a normalization alone reads ---


def _standardized(a: Any, axes: list[int]) -> Any:
    mean, variance = tf.nn.moments(a, axes, keepdims=True)
    return (a - mean) / tf.sqrt(variance + EPSILON)


#: A layer, the same in plain operations, and the methods whose terms cancel before it: it does not change when its
#: input is shifted or scaled, over the channels of a position or over the positions of a channel.
NORMALIZATIONS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any], set[str]]] = {
    "layer": (
        lambda: layers.LayerNormalization(epsilon=EPSILON),
        lambda a: _standardized(a, [-1]),
        {"hirescam"},
    ),
    "root mean square": (
        lambda: layers.RMSNormalization(epsilon=EPSILON),
        lambda a: a / tf.sqrt(tf.reduce_mean(a * a, -1, keepdims=True) + EPSILON),
        {"hirescam"},
    ),
    "unit": (layers.UnitNormalization, lambda a: a / tf.norm(a, axis=-1, keepdims=True), {"hirescam"}),
    "instance": (
        lambda: layers.GroupNormalization(-1, epsilon=EPSILON),
        lambda a: _standardized(a, [1, 2]),
        {"gradcam", "xgradcam"},
    ),
    "positions": (
        lambda: layers.LayerNormalization(axis=(1, 2), epsilon=EPSILON),
        lambda a: _standardized(a, [1, 2]),
        {"gradcam", "xgradcam"},
    ),
}
METHODS = ("gradcam", "hirescam", "layercam", "xgradcam")


def network(normalization: Any) -> keras.Model:
    keras.utils.set_random_seed(3)
    image = keras.Input((10, 9, 3), name="image")
    x = layers.Conv2D(16, 3, name="conv", kernel_initializer=keras.initializers.RandomNormal(stddev=1.0))(image)
    x = normalization(x)
    return keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Activation("gelu")(x))))


@pytest.mark.sweep
@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_before_a_normalization(name: str) -> None:
    make, plain, canceling = NORMALIZATIONS[name]
    model = network(make())
    x = random(3, 10, 9, 3)
    explained = vc.attach(model, "conv", method=METHODS, size=None)
    outputs = explained.predict(x, verbose=0)
    a = tf.cast(keras.Model(model.inputs[0], model.get_layer("conv").output)(x), tf.float64)
    weights = tf.cast(tf.gather(model.layers[-1].kernel, outputs["explained_class"], axis=1), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(a)
        flat = tf.reshape(tf.nn.gelu(plain(a), approximate=False), [3, -1])
        score = tf.reduce_sum(flat * tf.transpose(weights))
    gradients = tape.gradient(score, a).numpy()
    for method in METHODS:
        got = outputs[f"heatmap_conv_{method}"]
        assert got.any((1, 2)).tolist() == [method not in canceling] * 3, method
        assert_close(got, oracle_gradient.heatmap(a, gradients, method), 1e-3)


@pytest.mark.parametrize("normalize", ["minmax", "max", ("range", -1.0, 3.0), None])
def test_with_every_normalization(normalize: Any) -> None:
    model = network(layers.LayerNormalization(epsilon=EPSILON))
    explained = vc.attach(model, "conv", method=vc.methods.HiResCAM(relu=False), normalize=normalize)
    nothing = 0.25 if isinstance(normalize, tuple) else 0.0
    np.testing.assert_array_equal(explained.predict(random(2, 10, 9, 3), verbose=0)["heatmap_conv"], nothing)


@pytest.mark.slow
def test_in_every_runtime(tmp_path: Path) -> None:
    model, x = network(layers.LayerNormalization(epsilon=EPSILON, name="norm")), random(1, 10, 9, 3)
    options = {"layers": ["conv", "norm"], "method": ["hirescam", "gradcam"]}
    explained = vc.attach(model, **options)
    runs = {
        "eager": explained(x),
        "graph": tf.function(explained)(x),
        "all by XLA": tf.function(explained, jit_compile=True)(x),
        "heatmaps by XLA": vc.attach(model, jit_compile=True, **options)(x),
        "TensorFlow Lite": run_litert(vc.export_tflite(explained, tmp_path / "m.tflite").path, x),
    }
    for name, outputs in runs.items():
        shown = {key for key in explained.heatmap_names if np.any(outputs[key])}
        assert set(explained.heatmap_names) - shown == {"heatmap_conv_hirescam"}, name


def test_a_normalization_whose_epsilon_counts_leaves_evidence() -> None:
    """Not a sum of rounding: of ``ε / variance``, which is large where the epsilon is."""
    model = network(layers.LayerNormalization(epsilon=10.0))
    assert vc.attach(model, "conv", method="hirescam").predict(random(1, 10, 9, 3), verbose=0)["heatmap_conv"].any()


# --- channels whose mean cancels ---

CENTERED: dict[str, Callable[[Any], Any]] = {
    "layer normalization": lambda x: layers.LayerNormalization(center=False, scale=False)(x),
    "mean subtracted": lambda x: x - keras.ops.mean(x, -1, keepdims=True),
    "opposite channels": lambda x: layers.Concatenate()([x, -1.7 * x, 0.7 * x]),
    "differences around a ring": lambda x: x - keras.ops.roll(x, 1, -1),
}


@pytest.mark.parametrize("size", [6, 40])
@pytest.mark.parametrize("name", CENTERED)
def test_the_mean_of_centered_channels(name: str, size: int) -> None:
    keras.utils.set_random_seed(3)
    image = keras.Input((size, 9, 12))
    x = layers.Activation("linear", name="centered")(CENTERED[name](image))
    model, images = keras.Model(image, x), 10 * random(2, size, 9, 12)
    outputs = vc.attach(model, "centered", method=["mean", "mean_abs", "std"], size=None).predict(images, verbose=0)
    np.testing.assert_array_equal(outputs["heatmap_centered_mean"], 0)
    assert outputs["heatmap_centered_mean_abs"].max() == outputs["heatmap_centered_std"].max() == 1
    mean = images.astype(np.float64).mean(-1)
    assert abs(fuse("mean", images) - mean).max() <= 1e-5


@pytest.mark.parametrize("space", [(1, 8), (8, 1), (3, 9), (2, 3, 9), (9,)], ids=str)
def test_the_mean_of_channels_that_cancel_in_maps_of_any_shape(space: tuple[int, ...]) -> None:
    a = 10 * random(2, *space, 12)
    a -= a.mean(-1, keepdims=True)
    assert np.any(a.mean(-1))  # rounding is left
    np.testing.assert_array_equal(fuse("mean", a), 0)


# --- the limit ---


@pytest.mark.parametrize(("left", "shown"), [(0.0, False), (1e-7, False), (8e-6, False), (3e-5, True), (1e-2, True)])
@pytest.mark.parametrize("method", ["mean", *METHODS])
def test_what_counts_as_canceled(method: str, left: float, shown: bool) -> None:
    """Two channels of opposite signs, of which this part is left."""
    positive = abs(random(2, 5, 6)) + 0.5
    a = np.stack([positive, -positive * (1 - 2 * left)], -1).astype(np.float32)
    given = [a] if method == "mean" else [a, np.ones_like(a)]
    got = fuse(method, *given)
    assert got.any((1, 2)).tolist() == [shown] * 2
    want = oracle.fuse(a, "mean") if method == "mean" else oracle_gradient.fuse(*given, method, relu=False)
    assert_close(got, want, 1e-2)


def test_each_image_by_itself() -> None:
    a = np.stack([random(5, 6, 2), random(5, 6, 2, seed=1)])
    a[1, ..., 1] = -a[1, ..., 0]
    for method in ("mean", *METHODS[:3]):
        given = [a] if method == "mean" else [a, np.ones_like(a)]
        assert fuse(method, *given).any((1, 2)).tolist() == [True, False], method


def test_one_position_of_many_is_evidence() -> None:
    a, g = random(1, 6, 7, 8), random(1, 6, 7, 8, seed=1)
    g -= (g * a).sum(-1, keepdims=True) * a / (a * a).sum(-1, keepdims=True)
    np.testing.assert_array_equal(fuse("hirescam", a, g), 0)
    g[0, 2, 3] = 1e-3
    assert fuse("hirescam", a, g).any()


# --- denominators that are rounding ---


@pytest.mark.parametrize("off", [0.0, 1e-6, 2e-5, 4e-5, 1e-3, 0.1])
def test_gradcam_plus_plus_near_a_denominator_of_zero(off: float) -> None:
    """``2 + G·ΣA`` is ``-2·off`` at the first position, of terms that add up to 6."""
    a = np.array([[[-3, 1], [1, 2]]], np.float32)
    g = np.array([[[1 + off, 1], [0.5, -1]]], np.float32)
    want = oracle_gradient.fuse(a, g, "gradcam++", relu=False)
    assert_close(fuse("gradcam++", a, g), want, 1e-4)
    assert (abs(want).max() > 10) == (off >= 4e-5)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_gradcam_plus_plus_of_sums_that_cancel(scale: float) -> None:
    """Large activations of both signs, and a gradient that makes their sum's product cancel the 2 but for rounding."""
    a = (random(4, 8, 8, 3) * scale).astype(np.float32)
    g = abs(random(4, 8, 8, 3, seed=1)) / scale
    sums = a.astype(np.float64).sum((1, 2))
    g[:, 3, 4] = np.where(sums < 0, -2 / sums, g[:, 3, 4])
    g = g.astype(np.float32)
    assert_close(fuse("gradcam++", a, g), oracle_gradient.fuse(a, g, "gradcam++", relu=False), 1e-3)


@pytest.mark.parametrize("size", [7, 56, 200])
def test_sums_of_many_positions_round_below_the_limit(size: int) -> None:
    """The limit is sound: rounding stays well below it, in TensorFlow's own sums and in XLA's."""
    a = random(1, size, size, 8) + 30
    a -= a.astype(np.float64).mean((1, 2), keepdims=True).astype(np.float32)
    exact, magnitude = a.astype(np.float64).sum((1, 2)), abs(a).astype(np.float64).sum((1, 2))
    for compiled in (False, True):
        got = tf.function(lambda a: tf.reduce_sum(a, [1, 2]), jit_compile=compiled)(a).numpy()
        assert (abs(got - exact) / magnitude).max() <= oracle.CANCELED / 10


# --- differences from a mean ---


def last_bits(values: np.ndarray) -> np.ndarray:
    """The values, each moved to one of its neighbors in float32."""
    up = np.random.default_rng(7).random(values.shape) < 0.5
    return np.nextafter(values.astype(np.float32), np.where(up, np.inf, -np.inf).astype(np.float32))


@pytest.mark.parametrize("normalize", ["minmax", "max"])
@pytest.mark.parametrize("value", [5.3, -0.1, 1e-20, 255.0])
def test_constant_channels_but_for_their_last_bits(value: float, normalize: str) -> None:
    """As a blank photo leaves them: the deviation from the mean is rounding."""
    levels = value * np.array([1, -2, 0.3, 0.7, 1.1])
    a = last_bits(np.broadcast_to(levels, (2, 9, 8, 5)))
    np.testing.assert_array_equal(vc.FeatureMapFusion("deviation", normalize=normalize)(a), 0)
    a[1, 3, 3, 2] *= 1.01
    assert vc.FeatureMapFusion("deviation", normalize=normalize)(a).numpy().any((1, 2)).tolist() == [False, True]


@pytest.mark.parametrize("image", [0.3, 1.0, -0.7])
def test_a_blank_photo(image: float) -> None:
    keras.utils.set_random_seed(1)
    x = keras.Input((64, 48, 3))
    model = keras.Model(x, layers.Conv2D(64, 3, strides=2, name="b")(layers.Conv2D(32, 3, name="a")(x)))
    blank = np.full((1, 64, 48, 3), image, np.float32)
    outputs = vc.attach(model, ["a", "b"], method=["deviation", "mean", "l2"]).predict(blank, verbose=0)
    assert [key for key, value in outputs.items() if key.startswith("heatmap") and value.any()] == []


@pytest.mark.parametrize("channels", [3, 5, 7])
@pytest.mark.parametrize("normalize", ["minmax", "max"])
def test_the_standard_deviation_of_equal_channels(channels: int, normalize: str) -> None:
    """As those of a gray photo in RGB."""
    gray = np.repeat(abs(random(1, 20, 20, 1)), channels, -1)
    for a in (gray, last_bits(gray)):
        np.testing.assert_array_equal(vc.FeatureMapFusion("std", normalize=normalize)(a), 0)
    gray[0, 4, 4, 0] += 0.01
    assert vc.FeatureMapFusion("std", normalize=normalize)(gray).numpy().any()


def test_small_signals_on_large_levels_are_kept() -> None:
    for size in (1e-4, 1e-3):
        a = 1.0 + size * random(1, 9, 8, 5)
        assert_close(fuse("deviation", a), oracle.fuse(a, "deviation"), 1e-3)
        assert fuse("deviation", a).any()
