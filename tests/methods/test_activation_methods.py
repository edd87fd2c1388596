"""Methods of activations alone against the float64 oracle, by hand on small numbers, and where they could go wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.oracle import assert_close

from visualcnn_tf import methods
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.methods.fuse import fuse as fuse_maps

METHODS = list(oracle.FUSIONS)
PLAIN = [name for name in METHODS if name != "eigen"]
# A float32 number has an error of 6e-8 of its size before anything is computed.
ROUNDING = 2e-7


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def fuse(batch: Any, method: Any) -> Any:
    return fuse_maps(methods.get(method), batch)[0]


def gapped(rng: Any, positions: int, channels: int, gap: float) -> np.ndarray:
    """A matrix whose second singular value is ``gap`` times the first."""
    n = min(positions, channels)
    left, right = (np.linalg.qr(rng.normal(size=(size, n)))[0] for size in (positions, channels))
    return left * np.array([1.0, *np.linspace(gap, gap / 5, n - 1)]) @ right.T


# --- by hand ---

# Channel 0 is [[1, 2], [3, 6]], of mean 3; channel 1 is [[-4, 0], [4, 8]], of mean 2.
SMALL = np.array([[[[1, -4], [2, 0]], [[3, 4], [6, 8]]]], np.float32)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("deviation", [[4, 1.5], [1, 4.5]]),
        ("mean", [[-1.5, 1], [3.5, 7]]),
        ("mean_abs", [[2.5, 1], [3.5, 7]]),
        ("max", [[1, 2], [4, 8]]),
        ("l2", [[8.5**0.5, 2**0.5], [12.5**0.5, 50**0.5]]),
        ("std", [[2.5, 1], [0.5, 1]]),
    ],
)
def test_by_hand(method: str, expected: Any) -> None:
    np.testing.assert_allclose(fuse(SMALL, method)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(oracle.fuse(SMALL, method)[0], expected, rtol=1e-6)


def test_eigen_by_hand() -> None:
    # p·(0.6, 0.8) + q·(0.8, -0.6) with p = (5, 10, -5, 0) and q = (2, -1, 0, 3), orthogonal: p is the projection.
    image = np.array([[[[4.6, 2.8], [5.2, 8.6]], [[-3, -4], [2.4, -1.8]]]], np.float32)
    np.testing.assert_allclose(fuse(image, "eigen")[0], [[5, 10], [-5, 0]], atol=1e-5)
    np.testing.assert_allclose(fuse(-image, "eigen")[0], [[-5, -10], [5, 0]], atol=1e-5)


@pytest.mark.parametrize(("positions", "channels"), [(4, 12), (12, 4)])
def test_eigen_squares_the_smaller_matrix(positions: int, channels: int) -> None:
    with tf.Graph().as_default() as graph:
        fuse(tf.compat.v1.placeholder(tf.float32, (1, positions, 1, channels)), "eigen")
        products = [op.outputs[0].shape[1:] for op in graph.get_operations() if op.type.startswith("BatchMatMul")]
    assert (4, 4) in products
    assert (12, 12) not in products


def test_eigen_without_correlation_has_a_positive_largest_entry() -> None:
    # Channels of opposite sign: their mean is 0 everywhere and tells nothing.
    p = np.array([1, 2, -5, 2], np.float32)
    image = np.stack([p, -p], -1).reshape(1, 2, 2, 2)
    expected = np.array([[-1, -2], [5, -2]]) * 2**0.5
    np.testing.assert_allclose(fuse(image, "eigen")[0], expected, rtol=1e-6)
    np.testing.assert_allclose(fuse(-image, "eigen")[0], expected, rtol=1e-6)


# --- any shape, size and type ---


@st.composite
def activations(draw: Any) -> np.ndarray:
    space = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    shape = (draw(st.integers(1, 3)), *space, draw(st.integers(1, 9)))
    dtype = draw(st.sampled_from(["float16", "bfloat16", "float32", "float64"]))
    magnitude = 1.0 if dtype == "float16" else 10.0 ** draw(st.integers(-6, 6))
    offset = draw(st.sampled_from([0.0, 2.0, -3.0]))
    values = np.random.default_rng(draw(st.integers(0, 2**32))).normal(offset, size=shape) * magnitude
    return values.astype(tf.as_dtype(dtype).as_numpy_dtype)


@pytest.mark.parametrize("method", PLAIN)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(batch=activations())
def test_equals_the_oracle(method: str, batch: np.ndarray) -> None:
    fused = fuse(batch, method)
    assert fused.dtype == tf.float32
    largest = abs(batch.astype(np.float64)).max()
    assert_close(fused, oracle.fuse(batch, method), floor=ROUNDING * largest)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    space=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    channels=st.integers(1, 40),
    gap=st.floats(0.0, 0.9),
    magnitude=st.integers(-6, 6),
    seed=st.integers(0, 2**32),
)
def test_eigen_equals_the_svd(space: list[int], channels: int, gap: float, magnitude: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrices = [gapped(rng, int(np.prod(space)), channels, gap) * 10.0**magnitude for _ in range(3)]
    batch = np.stack(matrices).reshape(3, *space, channels).astype(np.float32)
    expected = oracle.fuse(batch, "eigen")
    fused = fuse(batch, "eigen").numpy()
    for b in range(3):
        if not clear_sign(batch[b], expected[b]) and (fused[b] * expected[b]).sum() < 0:
            fused[b] *= -1
    assert_close(fused, expected, floor=ROUNDING * abs(batch).max())


def clear_sign(image: np.ndarray, projection: np.ndarray) -> bool:
    """Whether the sign is the same for every rounding: not next to a threshold of its rule."""
    p, reference = projection.ravel(), image.reshape(-1, image.shape[-1]).astype(np.float64).mean(1)
    if p.size == 1:
        return True
    r = abs(np.corrcoef(p, reference)[0, 1])
    tie = abs(p.max() + p.min()) < 1e-4 * abs(p).max()
    return abs(r - 0.05) > 1e-3 and not (tie and r < 0.05)


@pytest.mark.parametrize(("tilt", "weak"), [(-0.08, False), (-0.03, True), (0.0, True), (0.03, True), (0.08, False)])
@pytest.mark.parametrize("lean", [1, -1])
def test_eigen_sign_around_a_correlation_of_five_per_cent(tilt: float, weak: bool, lean: int) -> None:
    # First singular pair: p with the channel weights (1, -1), which the mean does not see. Second: q with (1, 1),
    # which is all that the mean sees. q is orthogonal to p, as it must be, but leans toward it after centering.
    rng = np.random.default_rng(5)
    p = rng.normal(size=64) + 1.0
    p *= lean * np.sign(p[abs(p).argmax()])
    ones = np.ones(64)
    uncorrelated = rng.normal(size=64)
    basis = np.linalg.qr(np.stack([p, ones], 1))[0]
    uncorrelated -= basis @ (basis.T @ uncorrelated)
    leaning = ones - p * (ones @ p) / (p @ p)
    uncorrelated /= np.linalg.norm(uncorrelated)
    leaning /= np.linalg.norm(leaning)
    q = np.linalg.norm(p) / 2 * (uncorrelated + 2 * tilt * leaning)
    image = (np.outer(p, [1, -1]) + np.outer(q, [1, 1])).reshape(1, 8, 8, 2).astype(np.float32)

    r = np.corrcoef(p, q)[0, 1]
    assert abs(r) < 0.045 if weak else abs(r) > 0.055
    expected = p * 2**0.5 * (lean if weak else np.sign(r))
    assert_close(fuse(image, "eigen"), expected.reshape(1, 8, 8))


@pytest.mark.parametrize("channels", [1, 7, 300])
@pytest.mark.parametrize("value", [5.3, 0.1, -5.3])
def test_eigen_of_constant_activations_is_positive(channels: int, value: float) -> None:
    # There is no correlation with a constant: rounding must not decide the sign.
    for size in range(1, 12):
        fused = fuse(np.full((1, size, size + 1, channels), value, np.float32), "eigen")
        np.testing.assert_allclose(fused, abs(value) * channels**0.5, rtol=1e-5)


# --- what no map can be made of ---


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 9), (1, 2, 2, 2, 3), (0, 3, 4, 5)])
def test_zeros_give_zeros(method: str, shape: tuple[int, ...]) -> None:
    fused = fuse(np.zeros(shape, np.float32), method)
    np.testing.assert_array_equal(fused, np.zeros(shape[:-1]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("spread", ["one entry", "one channel", "everywhere"])
def test_an_image_that_is_not_finite_gets_zeros_and_the_others_their_map(method: str, bad: float, spread: str) -> None:
    batch = random(3, 4, 5, 6)
    batch[(1, 2, 3, 4) if spread == "one entry" else (1, ..., 4) if spread == "one channel" else 1] = bad
    maps, finite = fuse_maps(methods.get(method), batch)
    assert finite.numpy().tolist() == [[[True]], [[False]], [[True]]]
    fused = maps.numpy()
    np.testing.assert_array_equal(fused[1], np.zeros((4, 5)))
    assert fused[0].any()
    assert_close(fused, oracle.fuse(batch, method), floor=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_the_largest_numbers_give_no_nan(method: str) -> None:
    batch = random(2, 3, 3, 4) / 10
    batch[0] *= 3e38
    fused = fuse(batch, method).numpy()
    assert np.isfinite(fused).all()
    assert_close(fused[1:], oracle.fuse(batch[1:], method))


# --- in graphs ---


def all_methods(batch: Any) -> dict[str, Any]:
    return {method: fuse(batch, method) for method in METHODS}


@pytest.mark.parametrize("rank", [3, 4, 5])
def test_unknown_sizes(rank: int) -> None:
    graph = tf.function(all_methods, input_signature=[tf.TensorSpec([None] * rank)])
    for shape in [(1, 2, 3, 2, 40), (3, 5, 4, 6, 3), (2, 1, 1, 1, 4)]:
        batch = random(*shape[: rank - 1], shape[-1]) + 1
        for method, fused in graph(batch).items():
            assert_close(fused, oracle.fuse(batch, method), floor=1e-6)


def test_unknown_sizes_keep_the_rank() -> None:
    graph = tf.function(all_methods, input_signature=[tf.TensorSpec([None, None, None, 4])])
    for spec in graph.get_concrete_function().structured_outputs.values():
        assert spec.shape.rank == 3


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 2, 2, 9), (2, 7, 3)])
def test_xla(shape: tuple[int, ...]) -> None:
    batch = random(*shape) + 1
    for method, fused in tf.function(all_methods, jit_compile=True)(batch).items():
        assert_close(fused, oracle.fuse(batch, method), floor=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_signed_where_the_method_says_so(method: str) -> None:
    assert np.any(fuse(random(2, 4, 5, 6), method) < 0) == methods.get(method).is_signed


# --- callables ---


def test_every_method_of_activations_is_tested_here() -> None:
    of_activations = [name for name in methods.NAMES if isinstance(methods.get(name), methods.ActivationMethod)]
    assert of_activations == METHODS


def test_a_callable_is_called_on_float32() -> None:
    def third_channel(batch: Any) -> Any:
        assert batch.dtype == tf.float32
        return tf.cast(batch[..., 2], tf.float64)

    batch = random(2, 3, 4, 5).astype(np.float16)
    fused = fuse(batch, third_channel)
    assert fused.dtype == tf.float32
    np.testing.assert_array_equal(fused, batch[..., 2].astype(np.float32))


def test_a_callable_that_makes_nan_is_guarded_too() -> None:
    batch = abs(random(2, 3, 4, 1)) + 1
    batch[1, 0, 0] = -1
    fused = fuse(batch, lambda a: tf.math.log(a[..., 0])).numpy()
    np.testing.assert_allclose(fused[0], np.log(batch[0, ..., 0]), rtol=1e-6)
    np.testing.assert_array_equal(fused[1], np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("wrong", "received"),
    [
        (lambda a: a, "(2, 3, 4, 5)"),
        (lambda a: tf.reduce_mean(a, [1, 2]), "(2, 5)"),
        (lambda a: tf.reduce_mean(a, 0), "(3, 4, 5)"),
        (lambda a: np.zeros((2, 3, 4)), "ndarray"),
        (lambda a: None, "NoneType"),
        (lambda a: [a[..., 0]], "list"),
    ],
)
def test_a_callable_of_the_wrong_shape(wrong: Any, received: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        fuse(random(2, 3, 4, 5), wrong)
    message = str(caught.value)
    assert "`method` must return one map per image, of shape (2, 3, 4)" in message
    assert f"Received: {received} from '<lambda>'. Reduce the last axis" in message


def test_a_callable_of_the_wrong_shape_is_found_out_at_run_time() -> None:
    graph = tf.function(
        lambda a: fuse(a, lambda a: tf.transpose(a[..., 0], [0, 2, 1])),
        input_signature=[tf.TensorSpec([None, 3, None, 2])],
    )
    np.testing.assert_array_equal(graph(np.ones((1, 3, 3, 2))), np.ones((1, 3, 3)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible with expected shape"):
        graph(np.ones((1, 3, 4, 2)))
