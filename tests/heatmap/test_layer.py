"""FeatureMapFusion: every option against the float64 oracle, in every way that Keras and TensorFlow run a layer."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import oracle
from support.oracle import assert_close

import visualcnn_tf as vc
from visualcnn_tf import FeatureMapFusion
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError

METHODS = list(oracle.FUSIONS)
INTERPOLATIONS = ["bilinear", "nearest", "bicubic", "area"]
NORMALIZATIONS = ["minmax", "max", ("range", -0.5, 1.5), None]
SIZES = {3: [None, (9,), (2,)], 4: [None, (7, 9), (2, 3), (8, 2)], 5: [None, (3, 5, 2), (1, 6, 4)]}


def features(*shape: int, seed: int = 0) -> np.ndarray:
    """Feature maps with a clear first singular value, as real ones have it."""
    return np.random.default_rng([seed, *shape]).normal(0.7, size=shape).astype(np.float32)


def by_rank(rank: int, batch: int = 2) -> np.ndarray:
    return features(batch, *(4, 5, 3)[: rank - 2], 6)


@keras.saving.register_keras_serializable(package="tests")
def last_channel(activations: Any) -> Any:
    return activations[..., -1]


@pytest.fixture
def policy(request: Any) -> Iterator[str]:
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


# --- values ---


def test_by_hand() -> None:
    # Channels of mean 3 and 2; the deviation is [[4, 1.5], [1, 4.5]], its minimum 1 and its range 3.5.
    activations = np.array([[[[1, -4], [2, 0]], [[3, 4], [6, 8]]]], np.float32)
    own = FeatureMapFusion()(activations)
    np.testing.assert_allclose(own[0], [[6 / 7, 1 / 7], [0, 1]], rtol=1e-6)
    wide = FeatureMapFusion(size=(2, 4))(activations)
    expected = np.array([[3, 2.375, 1.125, 0.5], [0, 0.875, 2.625, 3.5]]) / 3.5
    np.testing.assert_allclose(wide[0], expected, rtol=1e-6)
    levels = FeatureMapFusion(size=(2, 4), heatmap_dtype="uint8")(activations)
    assert levels[0].numpy().tolist() == [[219, 173, 82, 36], [0, 64, 191, 255]]


@pytest.mark.sweep(cases=4)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rank", [3, 4, 5])
def test_every_option_equals_the_oracle(method: str, rank: int) -> None:
    activations = by_rank(rank)
    for size, interpolation, normalize in itertools.product(SIZES[rank], INTERPOLATIONS, NORMALIZATIONS):
        layer = FeatureMapFusion(method, size=size, interpolation=interpolation, normalize=normalize)
        heatmap = layer(activations)
        assert heatmap.dtype == tf.float32
        assert_close(heatmap, oracle.heatmap(activations, method, size, interpolation, normalize))


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("normalize", NORMALIZATIONS[:3], ids=str)
def test_the_type_of_the_heatmap(dtype: str, normalize: Any) -> None:
    activations = features(2, 4, 5, 6)
    heatmap = FeatureMapFusion("mean", size=(7, 9), normalize=normalize, heatmap_dtype=dtype)(activations)
    assert heatmap.dtype.name == dtype
    truth = oracle.heatmap(activations, "mean", (7, 9), "bilinear", normalize)
    if dtype == "uint8":
        assert abs(heatmap.numpy() - 255 * truth.clip(0, 1)).max() <= 0.5 + 1e-2
    else:
        np.testing.assert_allclose(heatmap, truth, rtol=2**-11 if dtype == "float16" else 0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32", "uint8"])
@pytest.mark.parametrize("method", METHODS)
def test_the_type_of_the_activations(dtype: str, method: str) -> None:
    activations = tf.cast(features(2, 4, 5, 6) * (20 if "int" in dtype else 1), dtype)
    heatmap = FeatureMapFusion(method, size=(7, 3))(activations)
    assert heatmap.dtype == tf.float32
    assert_close(heatmap, oracle.heatmap(activations.numpy(), method, (7, 3)))


@pytest.mark.parametrize("rank", [3, 4, 5])
@pytest.mark.parametrize("like_has_channels", [True, False])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_size_of_the_input(rank: int, like_has_channels: bool, data_format: str) -> None:
    activations, size = by_rank(rank), (9, 7, 2)[: rank - 2]
    truth = oracle.heatmap(activations, "deviation", size)
    like = np.zeros((2, *size, 3) if like_has_channels else (2, *size), np.float32)
    if data_format == "channels_first":
        activations = np.moveaxis(activations, -1, 1)
        like = np.moveaxis(like, -1, 1) if like_has_channels else like
    layer = FeatureMapFusion(size="input", data_format=data_format)
    assert_close(layer(activations, like=like), truth)
    assert_close(layer(activations, like), truth)
    assert layer.compute_output_shape(activations.shape, like.shape) == truth.shape


@pytest.mark.parametrize("size", [None, (7, 9)])
def test_channels_first(size: Any) -> None:
    activations = features(2, 4, 5, 6)
    first = np.moveaxis(activations, -1, 1)
    for method in METHODS:
        layer = FeatureMapFusion(method, size=size, data_format="channels_first")
        assert_close(layer(first), oracle.heatmap(activations, method, size))
        assert layer.compute_output_shape(first.shape) == (2, *(size or (4, 5)))


def test_the_data_format_is_that_of_keras_by_default() -> None:
    keras.config.set_image_data_format("channels_first")
    try:
        layer = FeatureMapFusion("max")
    finally:
        keras.config.set_image_data_format("channels_last")
    assert layer.data_format == "channels_first"
    assert layer.get_config()["data_format"] == "channels_first"
    assert FeatureMapFusion().data_format == "channels_last"


# --- NaN and infinity ---


@pytest.mark.sweep(cases=3)
@pytest.mark.parametrize("method", METHODS)
def test_an_image_that_is_not_finite_gets_zeros_and_the_others_their_heatmap(method: str) -> None:
    layers = [FeatureMapFusion(method, size=(5, 2), normalize=how, interpolation="bicubic") for how in NORMALIZATIONS]

    def run(activations: Any) -> list[Any]:
        return [layer(activations) for layer in layers]

    modes = [run, tf.function(run), tf.function(run, jit_compile=True)]
    for bad in (np.nan, np.inf, -np.inf):
        activations = features(3, 3, 4, 5)
        activations[1, 2, 0, 3] = bad
        for mode in modes:
            for how, heatmap in zip(NORMALIZATIONS, mode(tf.constant(activations)), strict=True):
                truth = oracle.heatmap(activations, method, (5, 2), "bicubic", how)
                assert heatmap[1].numpy().tolist() == [[0, 0]] * 5
                assert_close(heatmap, truth)


# --- Keras ---

EXAMPLES: list[dict[str, Any]] = [
    {},
    {"method": "eigen", "size": (7, 9), "interpolation": "bicubic"},
    {"method": "l2", "size": [2, 3], "interpolation": "area", "normalize": "max", "heatmap_dtype": "float16"},
    {"method": "mean", "size": "input", "normalize": ["range", 0, 2], "heatmap_dtype": "uint8"},
    {"method": "max", "normalize": None, "interpolation": "nearest", "data_format": "channels_first"},
    {"method": last_channel, "size": "input", "name": "mine", "trainable": False},
]


@pytest.mark.parametrize("options", EXAMPLES, ids=lambda options: "-".join(options))
def test_config_through_json(options: dict[str, Any]) -> None:
    layer = FeatureMapFusion(**options)
    config = json.loads(json.dumps(layer.get_config()))
    again = FeatureMapFusion.from_config(config)
    assert again.get_config() == layer.get_config()
    assert (again.name, again.trainable) == (layer.name, layer.trainable)
    for name, value in {"method": "deviation", "normalize": "minmax", "heatmap_dtype": "float32", **options}.items():
        value = vc.methods.get(value) if name == "method" else value
        assert getattr(again, name) == (tuple(value) if isinstance(value, list) else value)
    assert again.dtype == "float32"
    serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert keras.saving.deserialize_keras_object(serialized).get_config() == layer.get_config()
    activations = features(2, 4, 5, 6)
    like = np.zeros((2, 8, 6, 3), np.float32)
    np.testing.assert_array_equal(again(activations, like=like), layer(activations, like=like))


def functional(shape: Any = (12, 10, 3), batch_size: int | None = None) -> keras.Model:
    """A convolution with every example behind it; the feature maps themselves are among the outputs."""
    images = keras.Input(shape, batch_size)
    maps = keras.layers.Conv2D(6, 3, strides=2, bias_initializer="ones", name="conv")(images)
    outputs = {"maps": maps}
    for i, options in enumerate(EXAMPLES):
        layer = FeatureMapFusion(**{**options, "name": f"fusion_{i}"})
        first = options.get("data_format") == "channels_first"
        like = {"like": images} if options.get("size") == "input" else {}
        outputs[f"heatmap_{i}"] = layer(keras.ops.moveaxis(maps, -1, 1) if first else maps, **like)
    return keras.Model(images, outputs)


def check_functional(outputs: dict[str, Any], size: tuple[int, int]) -> None:
    """Compares the heatmaps with the oracle on the feature maps beside them."""
    outputs = {name: np.asarray(output) for name, output in outputs.items()}
    maps = outputs.pop("maps")
    for i, options in enumerate(EXAMPLES):
        heatmap = outputs[f"heatmap_{i}"]
        given = {name: value for name, value in options.items() if name in ("method", "interpolation", "normalize")}
        target = size if options.get("size") == "input" else options.get("size")
        truth = oracle.heatmap(maps, size=target, **given)
        if heatmap.dtype == np.uint8:
            assert abs(heatmap - 255 * truth).max() <= 0.51
        else:
            assert_close(heatmap, truth, 2**-11 if heatmap.dtype == np.float16 else 1e-5)


def images_of(*shape: int) -> np.ndarray:
    return np.random.default_rng([1, *shape]).random(shape).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_functional_model(batch: int) -> None:
    model, images = functional(), images_of(batch, 12, 10, 3)
    check_functional(model(images), (12, 10))
    check_functional(model.predict(images, verbose=0), (12, 10))
    assert model.output["heatmap_3"].shape == (None, 12, 10)
    assert {name: output.dtype for name, output in model.output.items()} == {
        "maps": "float32",
        **{f"heatmap_{i}": options.get("heatmap_dtype", "float32") for i, options in enumerate(EXAMPLES)},
    }


def test_a_functional_model_of_unknown_size() -> None:
    model = functional((None, None, 3))
    assert model.output["heatmap_0"].shape == (None, None, None)
    assert model.output["heatmap_1"].shape == (None, 7, 9)
    for shape in [(1, 12, 10, 3), (3, 9, 16, 3), (2, 3, 3, 3)]:
        images = images_of(*shape)
        check_functional(model(images), shape[1:3])
        check_functional(model.predict(images, verbose=0), shape[1:3])


def test_a_batch_of_fixed_size() -> None:
    model = functional(batch_size=2)
    assert model.output["heatmap_5"].shape == (2, 12, 10)
    check_functional(model(images_of(2, 12, 10, 3)), (12, 10))


def test_a_layer_is_called_on_many_shapes() -> None:
    layer = FeatureMapFusion("std", size=(3, 4))
    for shape in [(2, 5, 5, 3), (1, 2, 9, 3), (3, 5, 5, 1), (2, 5, 5, 8)]:
        activations = features(*shape)
        assert_close(layer(activations), oracle.heatmap(activations, "std", (3, 4)))
    with pytest.raises(InvalidArgumentError, match=r"`size` must be \(T,\) for feature maps of rank 3"):
        layer(features(2, 5, 3))


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_batch(method: str) -> None:
    assert FeatureMapFusion(method, size=(7, 9))(np.zeros((0, 4, 5, 3))).shape == (0, 7, 9)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"], indirect=True)
def test_precision_policies(policy: str) -> None:
    layer = FeatureMapFusion("mean", size="input", name="fusion")
    assert (layer.compute_dtype, layer.heatmap_dtype) == ("float32", "float32")
    images = keras.Input((12, 10, 3))
    conv = keras.layers.Conv2D(6, 3, bias_initializer="ones")
    maps = conv(images)
    model = keras.Model(images, [maps, layer(maps, like=images)])
    assert model.output[1].dtype == "float32"
    maps, heatmap = model(images_of(2, 12, 10, 3))
    assert maps.dtype.name == conv.compute_dtype
    assert heatmap.dtype == tf.float32
    # Exact to float32 for the rounded feature maps: in their own precision it would be 1e-3 off.
    assert_close(heatmap, oracle.heatmap(maps.numpy(), "mean", (12, 10)))
    assert FeatureMapFusion.from_config(layer.get_config()).compute_dtype == "float32"


def test_eager_graph_and_xla_agree() -> None:
    for shape in [(1, 9, 7, 3), (3, 9, 7, 3)]:
        model, images = functional(shape[1:]), images_of(*shape)
        eager = {name: output.numpy() for name, output in model(images).items()}
        for jit in (False, True):
            outputs = tf.function(model, jit_compile=jit, autograph=False)(images)
            check_functional(outputs, (9, 7))
            for name, output in outputs.items():
                step = 1 if output.dtype == tf.uint8 else 2**-11 if output.dtype == tf.float16 else 2e-6
                error = abs(output.numpy().astype(np.float64) - eager[name])
                assert error.max() <= step * max(1.0, np.ptp(eager[name])), name


@pytest.mark.sweep(cases=3)
@pytest.mark.parametrize("method", METHODS)
def test_eager_and_xla_agree_for_every_fusion(method: str) -> None:
    layers = [
        FeatureMapFusion(method, size=size, interpolation=interpolation)
        for size, interpolation in zip([None, (7, 9), (2, 3), (3, 9)], INTERPOLATIONS, strict=True)
    ]
    activations = features(2, 4, 5, 6)
    compiled = tf.function(lambda batch: [layer(batch) for layer in layers], jit_compile=True)(activations)
    for layer, heatmap in zip(layers, compiled, strict=True):
        eager = layer(activations).numpy()
        assert eager.min((1, 2)).tolist() == [0, 0]
        assert eager.max((1, 2)).tolist() == [1, 1]
        np.testing.assert_allclose(heatmap, eager, atol=2e-6)


@pytest.mark.slow
def test_saved_and_loaded_in_a_fresh_process(tmp_path: Path) -> None:
    model, images = functional(), images_of(3, 12, 10, 3)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", images)
    outputs = model.predict(images, verbose=0)
    again = keras.models.load_model(tmp_path / "model.keras").predict(images, verbose=0)
    (tmp_path / "load.py").write_text(LOAD)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    run = subprocess.run(
        [sys.executable, tmp_path / "load.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    fresh = np.load(tmp_path / "outputs.npz")
    assert set(outputs) == set(again) == set(fresh)
    for name, output in outputs.items():
        np.testing.assert_array_equal(again[name], output)
        np.testing.assert_array_equal(fresh[name], output)


LOAD = """
import keras
import numpy as np
import visualcnn_tf

@keras.saving.register_keras_serializable(package="tests")
def last_channel(activations):
    return activations[..., -1]

model = keras.models.load_model("model.keras")
np.savez("outputs.npz", **model.predict(np.load("images.npy"), verbose=0))
"""


# --- shapes before anything runs ---


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("rank", [3, 4, 5])
@pytest.mark.parametrize("unknown", ["nothing", "batch", "space", "channels", "everything"])
def test_the_shape_is_known_beforehand(data_format: str, rank: int, unknown: str) -> None:
    activations, like = by_rank(rank), np.zeros((2, *(9, 7, 5)[: rank - 2], 3), np.float32)
    channel = rank - 1
    if data_format == "channels_first":
        activations, like, channel = np.moveaxis(activations, -1, 1), np.moveaxis(like, -1, 1), 1
    hidden = {"nothing": [], "batch": [0], "channels": [channel], "everything": range(rank)}
    axes = hidden.get(unknown, [axis for axis in range(1, rank) if axis != channel])
    specs = [
        keras.KerasTensor([None if axis in axes else n for axis, n in enumerate(array.shape)])
        for array in (activations, like)
    ]
    first = 1 if data_format == "channels_last" else 2
    own, input_size = (spec.shape[first : first + rank - 2] for spec in specs)
    fixed = (8, 6, 4)[: rank - 2]
    for size, expected in [(None, own), ("input", input_size), (fixed, fixed)]:
        layer = FeatureMapFusion(size=size, data_format=data_format, heatmap_dtype="float16")
        assert layer.compute_output_shape(specs[0].shape, specs[1].shape) == (specs[0].shape[0], *expected)
        for spec in (layer.compute_output_spec(specs[0], like=specs[1]), layer(specs[0], like=specs[1])):
            assert spec.shape == (specs[0].shape[0], *expected)
            assert spec.dtype == "float16"
        real = layer(activations, like=like)
        assert real.dtype == tf.float16
        assert tf.TensorShape([specs[0].shape[0], *expected]).is_compatible_with(real.shape)


# --- gradients ---


def numeric_gradient(activations: np.ndarray, weights: np.ndarray, step: float = 1e-6, **options: Any) -> np.ndarray:
    """Central differences of the oracle, in float64, of the weighted sum of the heatmap."""
    activations = activations.astype(np.float64)
    gradient = np.zeros(activations.shape)
    for position in np.ndindex(activations.shape):
        sums = []
        for sign in (1, -1):
            moved = activations[position[0] : position[0] + 1].copy()
            moved[(0, *position[1:])] += sign * step
            sums.append((oracle.heatmap(moved, **options) * weights[position[0]]).sum())
        gradient[position] = (sums[0] - sums[1]) / (2 * step)
    return gradient


def gradient(layer: Any, activations: Any, weights: Any = 1.0) -> np.ndarray:
    activations = tf.convert_to_tensor(activations)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        total = tf.reduce_sum(layer(activations) * weights)
    return tape.gradient(total, activations).numpy()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("normalize", [None, "minmax", "max"], ids=str)
def test_gradients_against_differences(method: str, normalize: Any) -> None:
    activations = features(2, 3, 2, 4)
    weights = np.random.default_rng(3).normal(size=(2, 4, 5))
    layer = FeatureMapFusion(method, size=(4, 5), normalize=normalize)
    expected = numeric_gradient(activations, weights, method=method, size=(4, 5), normalize=normalize)
    got = gradient(layer, activations, tf.constant(weights, tf.float32))
    assert abs(expected).max() > 1e-2
    np.testing.assert_allclose(got, expected, atol=1e-3 * abs(expected).max())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("normalize", NORMALIZATIONS, ids=str)
def test_gradients_of_silent_activations_are_finite(method: str, normalize: Any) -> None:
    # One image all zero, one with a position where every channel is, as a ReLU leaves behind.
    activations = abs(features(3, 3, 2, 4))
    activations[0] = 0
    activations[1, 2, 1] = 0
    weights = tf.constant(np.random.default_rng(3).normal(size=(3, 4, 3)), tf.float32)
    layer = FeatureMapFusion(method, size=(4, 3), normalize=normalize)
    got = gradient(layer, activations, weights)
    assert np.isfinite(got).all()
    alone = gradient(layer, activations[2:], weights[2:])
    assert alone.any()
    np.testing.assert_allclose(got[2:], alone, atol=1e-6)
    if normalize == "minmax":
        assert not got[0].any()


def test_gradients_train_a_layer_before_it() -> None:
    # The filter is to find out which of two channels a heatmap shows.
    images = np.random.default_rng(0).random((4, 6, 6, 2)).astype(np.float32)
    layer = FeatureMapFusion("mean", size="input")
    target = layer(images[..., :1], like=images)
    weights = tf.Variable([1.0, 1.0])
    losses = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(layer(images * weights, like=images) - target))
        weights.assign_sub(2.0 * tape.gradient(loss, weights))
        losses.append(loss.numpy())
    assert losses[0] > 0.05
    assert losses[-1] < losses[0] / 20


# --- callables ---


def plain_function(activations: Any) -> Any:
    return tf.reduce_min(activations, -1)


def test_a_callable_equals_the_oracle() -> None:
    activations = features(2, 4, 5, 6)
    assert_close(
        FeatureMapFusion(last_channel, size=(7, 9))(activations), oracle.heatmap(activations, last_channel, (7, 9))
    )
    minimum = FeatureMapFusion(plain_function)(activations)
    assert_close(minimum, oracle.heatmap(activations, lambda image: image.min(-1)))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_callable_of_the_wrong_shape_is_found_out_at_once(data_format: str) -> None:
    layer = FeatureMapFusion(lambda a: tf.reduce_mean(a, [1, 2]), data_format=data_format)
    shape = (None, 4, 5, 6) if data_format == "channels_last" else (None, 6, 4, 5)
    message = (
        r"`method` must return one map per image, of shape \(None, 4, 5\),.* Received: \(None, 6\) from '<lambda>'"
    )
    with pytest.raises(InvalidArgumentError, match=message):
        layer(keras.KerasTensor(shape))
    with pytest.raises(InvalidArgumentError, match=message.replace("None", "2")):
        layer(np.zeros((2, *shape[1:])))


# --- arguments ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "deviations"}, "`method` must be one of 'deviation'"),
        ({"method": "deviations"}, "Received: 'deviations'. Did you mean 'deviation'"),
        ({"method": None}, "`method` must be one of"),
        ({"interpolation": "bilinaer"}, "`interpolation` must be one of 'bilinear', 'nearest', 'bicubic', 'area'. "),
        ({"interpolation": "bilinaer"}, "Received: 'bilinaer'. Did you mean 'bilinear'?"),
        ({"interpolation": None}, "Received: None."),
        ({"normalize": "min_max"}, "`normalize` must be 'minmax', 'max', ('range', low, high) or None. "),
        ({"normalize": ("range", 1, 1)}, "`normalize` must be ('range', low, high) with finite low < high. Received: "),
        ({"normalize": ("range", 2, 1)}, "Received: ('range', 2, 1)."),
        ({"normalize": ("range", float("nan"), 1)}, "Received: ('range', nan, 1)."),
        (
            {"heatmap_dtype": "uint8", "normalize": None},
            "`heatmap_dtype` must be 'float32' or 'float16' with `normalize=None`. ",
        ),
        (
            {"heatmap_dtype": "float64"},
            "`heatmap_dtype` must be one of 'float32', 'float16', 'uint8'. Received: 'float64'.",
        ),
        ({"heatmap_dtype": "mixed_float16"}, "`heatmap_dtype` must be one of"),
        ({"dtype": "float16"}, "Received: 'float16'. Use `heatmap_dtype` for the type of heatmaps."),
        ({"dtype": "mixed_float16"}, "`dtype` must be 'float32', in which heatmaps are computed. Received: "),
        ({"data_format": "channels_frist"}, "`data_format` must be one of 'channels_last', 'channels_first'. "),
        ({"data_format": "NHWC"}, "Received: 'NHWC'."),
    ],
)
def test_a_bad_option(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        FeatureMapFusion(**options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "size",
    [
        (0, 3),
        (3, -1),
        (2.0, 3),
        (True, 3),
        (1, 2, 3, 4),
        (),
        (None, 3),
        ("7", "9"),
        224,
        "224",
        "inputs",
        b"input",
        True,
    ],
)
def test_a_bad_size(size: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        FeatureMapFusion(size=size)
    allowed = "'input', None or positive integers up to 16384 such as (224, 224)"
    assert str(caught.value) == f"`size` must be {allowed}. Received: {size!r}."


def test_a_size_is_kept_as_plain_integers() -> None:
    for size in [[7, 9], (np.int64(7), np.int32(9)), (tf.constant(7), 9)]:
        layer = FeatureMapFusion(size=size)
        assert layer.size == (7, 9)
        assert [type(n) for n in layer.size] == [int, int]


@pytest.mark.parametrize(("rank", "axes"), [(3, "(T,)"), (4, "(H, W)"), (5, "(D, H, W)")])
def test_a_size_of_the_wrong_length(rank: int, axes: str) -> None:
    for length in {1, 2, 3} - {rank - 2}:
        size = (7, 8, 9)[:length]
        for activations in (np.zeros((2, 3, 3, 3, 3)[:rank]), keras.KerasTensor((None, 3, 3, 3, 3)[:rank])):
            with pytest.raises(InvalidArgumentError) as caught:
                FeatureMapFusion(size=size)(activations)
            assert f"`size` must be {axes} for feature maps of rank {rank}. Received: {size}." in str(caught.value)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3, 3, 3, 3), (2,)])
def test_feature_maps_of_the_wrong_rank(shape: tuple[int, ...]) -> None:
    used = FeatureMapFusion()
    used(np.zeros((2, 3, 3, 3)))
    for layer in (FeatureMapFusion(), used):
        for activations in (np.zeros(shape), keras.KerasTensor(shape)):
            with pytest.raises(InputShapeError) as caught:
                layer(activations)
            message = str(caught.value)
            assert "`activations` must be signals (B, t, C), feature maps (B, h, w, C) or volumes" in message
            assert f"Received: a tensor of rank {len(shape)}. Use a layer before" in message


def test_input_size_without_like() -> None:
    used = FeatureMapFusion(size="input")
    used(np.zeros((2, 3, 3, 3)), like=np.zeros((2, 6, 6, 3)))
    for layer in (FeatureMapFusion(size="input"), used):
        for activations in (np.zeros((2, 3, 3, 3)), keras.KerasTensor((2, 3, 3, 3))):
            with pytest.raises(InputShapeError, match=r"`like` must be given for size='input'\. Received: None\. Pass"):
                layer(activations)


def test_like_of_the_wrong_rank() -> None:
    for shape in [(2, 6), (2, 6, 6, 6, 3)]:
        for make in (np.zeros, keras.KerasTensor):
            with pytest.raises(InputShapeError) as caught:
                FeatureMapFusion(size="input")(make((2, 3, 3, 3)), like=make(shape))
            assert "`like` must have 2 spatial axes, (B, H, W, C). " in str(caught.value)
            assert f"Received: a tensor of rank {len(shape)}." in str(caught.value)


# --- TensorFlow Lite ---


def test_tflite_has_only_builtin_ops_and_equals() -> None:
    images = keras.Input((12, 10, 3), 2)
    maps = keras.layers.Conv2D(6, 3, strides=2, bias_initializer="ones")(images)
    heatmaps = {method: FeatureMapFusion(method, size=(7, 9))(maps) for method in METHODS}
    for interpolation in INTERPOLATIONS:
        heatmaps[interpolation] = FeatureMapFusion(size="input", interpolation=interpolation)(maps, like=images)
    for normalize in NORMALIZATIONS[1:]:
        heatmaps[str(normalize)] = FeatureMapFusion(size=(3, 3), normalize=normalize)(maps)
    heatmaps["uint8"] = FeatureMapFusion(heatmap_dtype="uint8")(maps)
    model = keras.Model(images, heatmaps)
    # Nothing but built-in operations is allowed by default: anything else fails here.
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    batch = images_of(2, 12, 10, 3)
    expected = {name: output.numpy() for name, output in model(batch).items()}
    runner = interpreter.get_signature_runner()
    outputs = runner(**{next(iter(runner.get_input_details())): batch})
    assert set(outputs) == set(expected)
    for name, output in outputs.items():
        assert output.dtype == expected[name].dtype
        step = 1 if name == "uint8" else 1e-5
        error = abs(output.astype(np.float64) - expected[name]).max()
        assert error <= step * max(1.0, np.ptp(expected[name])), name
