"""Methods of activations and gradients against the float64 oracle, by hand, and where they could go wrong."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle_gradient
from support.oracle import assert_close

import visualcnn_tf as vc
from visualcnn_tf import methods
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError
from visualcnn_tf.methods.fuse import fuse as fuse_maps
from visualcnn_tf.methods.weighting import mean_gradients

METHODS = list(oracle_gradient.FUSIONS)
# Those whose weights have no denominator that could come close to 0.
STEADY = ["gradcam", "hirescam", "layercam"]
SHAPES = [(2, 3, 4, 5), (3, 9, 4), (2, 2, 3, 2, 3), (1, 1, 1, 1)]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def rectified(*shape: int, seed: int = 0) -> np.ndarray:
    """Like what a ReLU returns, so that no channel's sum cancels out."""
    return np.maximum(random(*shape, seed=seed) + 0.5, 0)


def gradients(*shape: int) -> np.ndarray:
    """Of both signs, more often positive: pure noise would have no clear first singular vector."""
    return random(*shape, seed=1) + 1


def with_relu(method: str, relu: bool) -> methods.Method:
    return type(methods.get(method))(relu=relu)


def fuse(a: Any, g: Any, method: str, relu: bool = True) -> Any:
    return fuse_maps(with_relu(method, relu), a, g)[0]


# --- by hand ---

# One image of 1 × 2 positions, channels (1, 3) and (2, -4), gradients (1, 3) and (-1, 2).
A = np.array([[[[1, 2], [3, -4]]]], np.float32)
G = np.array([[[[1, -1], [3, 2]]]], np.float32)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("gradcam", [2 * 1 + 0.5 * 2, 2 * 3 - 0.5 * 4]),
        # Σ_k of channel 0 is 4, of channel 1 is -2: Σ ReLU(G) / (2 + G·Σ_k) = 1/6 + 3/14, and 0 + 2/-2.
        ("gradcam++", [(1 / 6 + 3 / 14) * 1 - 1 * 2, (1 / 6 + 3 / 14) * 3 + 1 * 4]),
        ("hirescam", [1 * 1 - 1 * 2, 3 * 3 - 2 * 4]),
        ("layercam", [1 * 1 + 0, 3 * 3 - 2 * 4]),
        ("xgradcam", [10 / 4 * 1 + -10 / -2 * 2, 10 / 4 * 3 - -10 / -2 * 4]),
    ],
)
def test_by_hand(method: str, expected: list[float]) -> None:
    np.testing.assert_allclose(fuse(A, G, method, relu=False)[0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(fuse(A, G, method)[0, 0], np.maximum(expected, 0), rtol=1e-6)
    np.testing.assert_allclose(oracle_gradient.fuse(A, G, method, relu=False)[0, 0], expected, rtol=1e-6)


def test_eigengradcam_by_hand() -> None:
    # G⊙A = (4, 3) ⊗ (3, 4) / 5: of rank one, so that the projection on (3, 4) / 5 is (4, 3).
    a, g = np.array([[[[12, 4], [9, 3]]]], np.float32) / 5, np.array([[[[1, 4], [1, 4]]]], np.float32)
    np.testing.assert_allclose(fuse(a, g, "eigengradcam")[0, 0], [4, 3], rtol=1e-6)
    np.testing.assert_allclose(fuse(a, -g, "eigengradcam", relu=False)[0, 0], [-4, -3], rtol=1e-6)
    np.testing.assert_array_equal(fuse(a, -g, "eigengradcam")[0, 0], [0, 0])


# --- any shape, size and type ---


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("method", METHODS)
def test_equals_the_oracle(method: str, shape: tuple[int, ...], relu: bool) -> None:
    a, g = rectified(*shape), gradients(*shape)
    got = fuse(a, g, method, relu)
    assert got.dtype == tf.float32
    assert_close(got, oracle_gradient.fuse(a, g, method, relu), floor=1e-6)


@pytest.mark.parametrize("method", STEADY)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    space=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    batch=st.integers(1, 3),
    channels=st.integers(1, 7),
    magnitudes=st.tuples(st.integers(-6, 6), st.integers(-6, 6)),
    dtype=st.sampled_from(["bfloat16", "float32", "float64"]),
)
def test_signed_activations_of_any_magnitude(
    method: str, space: list[int], batch: int, channels: int, magnitudes: tuple[int, int], dtype: str
) -> None:
    shape = (batch, *space, channels)
    a, g = (random(*shape, seed=i) * 10.0**power for i, power in enumerate(magnitudes))
    a, g = (each.astype(tf.as_dtype(dtype).as_numpy_dtype) for each in (a, g))
    largest = abs(a.astype(np.float64)).max() * abs(g.astype(np.float64)).max()
    assert_close(fuse(a, g, method), oracle_gradient.fuse(a, g, method), floor=1e-6 * channels * largest)


@pytest.mark.parametrize("size", [1e-25, 1e-12, 1.0, 1e12, 1e25])
@pytest.mark.parametrize("method", METHODS)
def test_gradients_of_any_size(method: str, size: float) -> None:
    # Squares and cubes of these leave the range of float32.
    a, g = rectified(2, 3, 4, 5), (gradients(2, 3, 4, 5) * size).astype(np.float32)
    assert_close(fuse(a, g, method), oracle_gradient.fuse(a, g, method))


# --- what no weight can be made of ---


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_zero_give_zeros(method: str, shape: tuple[int, ...]) -> None:
    for a, g in [(random(*shape), np.zeros(shape)), (np.zeros(shape), random(*shape)), (np.zeros(shape),) * 2]:
        np.testing.assert_array_equal(fuse(a, g, method, relu=False), np.zeros(shape[:-1]))


@pytest.mark.parametrize("method", ["gradcam++", "xgradcam"])
@pytest.mark.parametrize("channel", [[1, -1, 2, -2], [0.1, 0.2, -0.3, 0.0], [0.7, -0.1, -0.1, -0.5]])
def test_a_channel_that_sums_to_0_but_for_rounding(method: str, channel: list[float]) -> None:
    a = np.stack([channel, [1, 2, 3, 4]], -1).reshape(1, 2, 2, 2).astype(np.float32)
    g = random(1, 2, 2, 2)
    assert_close(fuse(a, g, method), oracle_gradient.fuse(a, g, method))
    assert abs(fuse(a, g, method)).numpy().max() < 100


def test_gradcam_plus_plus_with_a_denominator_of_zero() -> None:
    # 2 + G·ΣA = 2 - 1·2 at the first position: it has no weight; the second has 3 / (2 - 6).
    a, g = np.array([[[-3], [1]]], np.float32), np.array([[[1], [3]]], np.float32)
    np.testing.assert_allclose(fuse(a, g, "gradcam++", relu=False)[0], [2.25, -0.75])
    np.testing.assert_allclose(oracle_gradient.fuse(a, g, "gradcam++", relu=False)[0], [2.25, -0.75])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("where", "bad"),
    # No -inf in G: methods that take its ReLU rightly see no evidence there.
    [("A", np.nan), ("A", np.inf), ("A", -np.inf), ("G", np.nan), ("G", np.inf), ("both", np.nan), ("both", np.inf)],
)
def test_an_image_that_is_not_finite_gets_zeros_and_the_others_their_map(method: str, where: str, bad: float) -> None:
    a, g = rectified(3, 4, 5, 6), gradients(3, 4, 5, 6)
    if where != "G":
        a[1, 2, 3, 4] = bad
    if where != "A":
        g[1, 2, 3, 4] = bad
    for relu in (True, False):
        maps, finite = fuse_maps(with_relu(method, relu), a, g)
        assert finite.numpy().ravel()[[0, 2]].all()
        np.testing.assert_array_equal(maps[1], np.zeros((4, 5)))
        assert_close(maps, oracle_gradient.fuse(a, g, method, relu), floor=1e-6)


# --- in graphs ---


def all_methods(a: Any, g: Any) -> dict[str, Any]:
    return {method: fuse(a, g, method) for method in METHODS}


@pytest.mark.parametrize("space", [(1, 1), (3, 1), (1, 5)], ids=str)
def test_the_mean_of_gradients_that_a_pooling_spreads(space: tuple[int, int]) -> None:
    """Over all positions, or along one axis alone."""
    value = gradients(2, *space, 4)

    @tf.function
    def mean(value: tf.Tensor) -> tf.Tensor:
        return mean_gradients(value * tf.ones((1, 3, 5, 1)))

    want = np.broadcast_to(value.astype(np.float64), (2, 3, 5, 4)).mean((1, 2), keepdims=True)
    np.testing.assert_allclose(mean(tf.constant(value)), want, rtol=0, atol=1e-6)


@pytest.mark.sweep
@pytest.mark.parametrize("rank", [3, 4, 5])
def test_unknown_sizes(rank: int) -> None:
    graph = tf.function(all_methods, input_signature=[tf.TensorSpec([None] * rank)] * 2)
    for shape in [(1, 2, 3, 2, 40), (3, 5, 4, 6, 3), (2, 1, 1, 1, 4), (0, 2, 2, 2, 3)]:
        shape = (*shape[: rank - 1], shape[-1])
        a, g = rectified(*shape), gradients(*shape)
        for method, got in graph(a, g).items():
            assert_close(got, oracle_gradient.fuse(a, g, method), floor=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 7, 3)])
def test_xla(shape: tuple[int, ...]) -> None:
    a, g = rectified(*shape), gradients(*shape)
    for method, got in tf.function(all_methods, jit_compile=True)(a, g).items():
        assert_close(got, oracle_gradient.fuse(a, g, method), floor=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 7, 3), (2, 2, 3, 2, 3)])
def test_gradcam_of_a_gradient_that_a_pooling_spread(shape: tuple[int, ...]) -> None:
    space = [1] * (len(shape) - 2)
    a, one = rectified(*shape), gradients(shape[0], *space, shape[-1])
    uneven = gradients(1, *shape[1:-1], 1)

    def spread_by(factors: Any) -> Any:
        graph = tf.function(lambda a, g: fuse(a, g * factors, "gradcam"), autograph=False).get_concrete_function(a, one)
        means = [operation for operation in graph.graph.get_operations() if operation.type == "Mean"]
        return graph(tf.constant(a), tf.constant(one)), len(means)

    heatmaps, means = spread_by(np.ones_like(uneven))
    assert means == 1  # that which looks for NaN
    assert_close(heatmaps, oracle_gradient.fuse(a, one * np.ones_like(a), "gradcam"), floor=1e-6)
    heatmaps, means = spread_by(uneven)
    assert means > 1
    assert_close(heatmaps, oracle_gradient.fuse(a, one * uneven * np.ones_like(a), "gradcam"), floor=1e-6)


# --- as a layer ---


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_layer(method: str, relu: bool) -> None:
    a, g = rectified(2, 3, 4, 5), gradients(2, 3, 4, 5)
    fusion = with_relu(method, relu)
    layer = vc.FeatureMapFusion(fusion, size=(7, 9), normalize="max")
    want = oracle_gradient.heatmap(a, g, method, (7, 9), normalize="max", relu=relu)
    assert_close(layer([a, g]), want)
    assert_close(layer((tf.constant(a), g.astype(np.float64))), want)
    assert layer.compute_output_shape([a.shape, g.shape]) == (2, 7, 9)
    again = vc.FeatureMapFusion.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.get_config() == layer.get_config()
    assert again.method == fusion
    assert again.method.relu is relu
    np.testing.assert_array_equal(again([a, g]), layer([a, g]))
    first = vc.FeatureMapFusion(fusion, size=(7, 9), normalize="max", data_format="channels_first")
    assert_close(first([np.moveaxis(a, -1, 1), np.moveaxis(g, -1, 1)]), want)


def test_layer_in_a_model(tmp_path: Any) -> None:
    images, a, g = keras.Input((9, 9, 1)), keras.Input((3, 4, 5)), keras.Input((3, 4, 5))
    maps = vc.FeatureMapFusion("layercam", size="input")([a, g], like=images)
    model = keras.Model([images, a, g], maps)
    batch = [random(2, 9, 9, 1), rectified(2, 3, 4, 5), gradients(2, 3, 4, 5)]
    want = oracle_gradient.heatmap(*batch[1:], "layercam", (9, 9))
    assert model.output_shape == (None, 9, 9)
    assert_close(model.predict(batch, verbose=0), want)
    model.save(tmp_path / "m.keras")
    assert_close(keras.models.load_model(tmp_path / "m.keras").predict(batch, verbose=0), want)


def test_a_callable_of_two_arguments() -> None:
    a, g = random(2, 3, 4, 5), random(2, 3, 4, 5, seed=1)
    got = vc.FeatureMapFusion(lambda a, g: tf.reduce_max(a * g, -1), normalize=None)([a, g])
    np.testing.assert_allclose(got, (a * g).max(-1), rtol=1e-6)
    one = vc.FeatureMapFusion(lambda a, power=2: tf.reduce_max(a**power, -1), normalize=None)(a)
    np.testing.assert_allclose(one, (a**2).max(-1), rtol=1e-6)


MAPS = np.ones((2, 3, 4, 5), np.float32)
TWO = r"`activations` must be \[A, G\], feature maps and gradients of one shape, for the method 'gradcam'\. Received: "
ONE = r"`activations` must be one tensor, for the method 'deviation'\. Received: "


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("gradcam", MAPS, TWO + r"\(2, 3, 4, 5\)"),
        ("gradcam", [MAPS], TWO + r"\[\(2, 3, 4, 5\)\]"),
        ("gradcam", [MAPS] * 3, TWO),
        ("gradcam", [MAPS, MAPS[..., :4]], TWO + r"\[\(2, 3, 4, 5\), \(2, 3, 4, 4\)\]"),
        ("gradcam", [MAPS, MAPS[0]], TWO + r"\[\(2, 3, 4, 5\), \(3, 4, 5\)\]"),
        ("deviation", [MAPS, MAPS], ONE + r"\[\(2, 3, 4, 5\), \(2, 3, 4, 5\)\]"),
    ],
)
def test_what_is_not_a_pair_of_maps_and_gradients(method: str, given: Any, message: str) -> None:
    with pytest.raises(InputShapeError, match=message):
        vc.FeatureMapFusion(method)(given)


@pytest.mark.parametrize("method", [name for name in methods.NAMES if methods.get(name).needs_replay])
def test_what_runs_the_model_again_is_no_layer(method: str) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"`method` must be .* Received: '{method}'\. .*`attach\(model, "):
        vc.FeatureMapFusion(method)


@pytest.mark.parametrize("method", [name for name in methods.NAMES if hasattr(methods.get(name), "relu")])
@pytest.mark.parametrize("wrong", [None, 1, "yes"])
def test_relu_is_a_switch(method: str, wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="`relu` must be one of True, False"):
        type(methods.get(method))(relu=wrong)


def test_every_method_of_gradients_is_tested_here() -> None:
    of_gradients = [name for name in methods.NAMES if isinstance(methods.get(name), methods.GradientMethod)]
    assert of_gradients == METHODS
