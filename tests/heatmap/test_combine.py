"""Combined heatmaps against the float64 oracle, and the weights that may go into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.oracle import assert_close

from visualcnn_tf.errors import InvalidArgumentError, LayerNotFoundError
from visualcnn_tf.heatmap.combine import COMBINATIONS, check_combine, combine_maps, resolve_weights

PATHS = ["stem", "block/conv_1", "block/conv_2"]


def random_maps(seed: int, count: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Maps from 0 to 1 as the layer makes them: both ends included."""
    maps = oracle.normalized(np.random.default_rng(seed).random((count, *shape)).reshape(-1, *shape[1:]), "minmax")
    return list(maps.reshape(count, *shape).astype(np.float32))


# --- by hand ---

TWO = [[[[0.0, 1.0], [0.5, 0.25]]], [[[1.0, 0.5], [0.0, 0.5]]]]


@pytest.mark.parametrize(
    ("how", "weights", "expected"),
    [
        ("mean", None, [[0.5, 0.75], [0.25, 0.375]]),
        ("mean", [3, 1], [[0.25, 0.875], [0.375, 0.3125]]),
        ("mean", [0, 2], [[1, 0.5], [0, 0.5]]),
        ("max", None, [[1, 1], [0.5, 0.5]]),
        ("max", [1, 0.5], [[0.5, 1], [0.5, 0.25]]),
        ("product", None, [[0, 0.5], [0, 0.125]]),
        ("product", [2, 1], [[0, 0.5], [0, 0.03125]]),
        ("product", [0, 1], [[1, 0.5], [0, 0.5]]),
        ("product", [0.5, 2], [[0, 0.25], [0, 0.125]]),
    ],
)
def test_by_hand(how: str, weights: Any, expected: Any) -> None:
    maps = [tf.constant(one) for one in TWO]
    np.testing.assert_allclose(combine_maps(maps, how, weights, None)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(oracle.combine(TWO, how, weights)[0], expected, rtol=1e-12)


def test_it_is_normalized_again() -> None:
    maps = [tf.constant(one) for one in TWO]
    mean = np.array([[0.5, 0.75], [0.25, 0.375]])
    np.testing.assert_allclose(combine_maps(maps, "mean", None, "minmax")[0], (mean - 0.25) / 0.5, rtol=1e-6)
    np.testing.assert_allclose(combine_maps(maps, "mean", None, "max")[0], mean / 0.75, rtol=1e-6)


def test_a_range_is_one_of_raw_values_and_not_applied_again() -> None:
    maps = [tf.constant(one) for one in TWO]
    how = ("range", -1.0, 5.0)
    np.testing.assert_allclose(combine_maps(maps, "mean", None, how)[0], [[0.5, 0.75], [0.25, 0.375]], rtol=1e-6)
    np.testing.assert_allclose(combine_maps(maps, "max", [3, 1], how)[0], [[1, 1], [1, 0.75]], rtol=1e-6)


@pytest.mark.parametrize("weights", [None, [1.0, 1.0], [1.0, 2.0], [3.0, 0.5]])
def test_a_product_of_signed_maps_is_one_of_magnitudes(weights: Any) -> None:
    maps = [np.array([[[-1.0, 0.5, -0.5]]], np.float32), np.array([[[0.5, -1.0, -0.5]]], np.float32)]
    combined = combine_maps([tf.constant(one) for one in maps], "product", weights, None)
    first, second = weights or [1, 1]
    expected = [0.5**second, 0.5**first, 0.5**first * 0.5**second]
    np.testing.assert_allclose(combined[0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(oracle.combine(maps, "product", weights)[0, 0], expected, rtol=1e-12)


# --- any maps ---


@pytest.mark.parametrize("how", COMBINATIONS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    shape=st.lists(st.integers(2, 4), min_size=2, max_size=4),
    count=st.integers(1, 4),
    normalize=st.sampled_from(["minmax", "max", None]),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_equals_the_oracle(how: str, shape: list[int], count: int, normalize: Any, weighted: bool, seed: int) -> None:
    maps = random_maps(seed, count, tuple(shape))
    weights = np.random.default_rng(seed).uniform(0.1, 3, count).tolist() if weighted else None
    combined = combine_maps([tf.constant(one) for one in maps], how, weights, normalize)
    assert combined.dtype == tf.float32
    assert_close(combined, oracle.normalized(oracle.combine(maps, how, weights), normalize))


def test_unknown_sizes_and_xla() -> None:
    maps = random_maps(0, 3, (2, 4, 5))
    weights = [1.0, 0.0, 2.5]

    def all_ways(*maps: Any) -> dict[str, Any]:
        return {how: combine_maps(maps, how, weights, "minmax") for how in COMBINATIONS}

    unknown = tf.function(all_ways, input_signature=[tf.TensorSpec((None, None, None))] * 3)
    for mode in (unknown, tf.function(all_ways, jit_compile=True)):
        for how, combined in mode(*maps).items():
            assert_close(combined, oracle.normalized(oracle.combine(maps, how, weights), "minmax"))


def test_one_map_is_its_own_combination() -> None:
    (only,) = random_maps(3, 1, (2, 4, 5))
    for how in COMBINATIONS:
        np.testing.assert_array_equal(combine_maps([tf.constant(only)], how, None, "minmax"), only)


def test_a_blank_map_among_others() -> None:
    # What an image with NaN activations in one layer leads to: nothing in a product, the others elsewhere.
    first, second = random_maps(4, 2, (2, 4, 5))
    first[1] = 0
    maps = [tf.constant(first), tf.constant(second)]
    np.testing.assert_array_equal(combine_maps(maps, "product", None, "minmax")[1], np.zeros((4, 5)))
    np.testing.assert_array_equal(combine_maps(maps, "max", None, "minmax")[1], second[1])
    np.testing.assert_allclose(combine_maps(maps, "mean", None, "minmax")[1], second[1], atol=1e-6)


# --- callables ---


def test_a_callable_gets_the_maps_and_is_normalized() -> None:
    maps = random_maps(5, 3, (2, 4, 5))

    def combine(given: Any) -> Any:
        assert [one.shape for one in given] == [(2, 4, 5)] * 3
        return tf.cast(given[0] - 2 * given[2], tf.float64)

    combined = combine_maps([tf.constant(one) for one in maps], combine, None, "minmax")
    truth = maps[0].astype(np.float64) - 2 * maps[2].astype(np.float64)
    assert combined.dtype == tf.float32
    assert_close(combined, oracle.normalized(truth, "minmax"))


@pytest.mark.parametrize(
    ("wrong", "received"),
    [
        (lambda maps: tf.stack(maps), "(2, 2, 4, 5)"),
        (lambda maps: maps[0][:, :3], "(2, 3, 5)"),
        (lambda maps: tf.reduce_mean(maps[0]), "()"),
        (lambda maps: maps, "list"),
        (lambda maps: None, "NoneType"),
        (lambda maps: maps[0].numpy(), "ndarray"),
    ],
)
def test_a_callable_of_the_wrong_shape(wrong: Any, received: str) -> None:
    maps = [tf.constant(one) for one in random_maps(0, 2, (2, 4, 5))]
    with pytest.raises(InvalidArgumentError) as caught:
        combine_maps(maps, wrong, None, "minmax")
    assert str(caught.value) == f"`combine` must return one map of shape (2, 4, 5). Received: {received}."


def test_a_callable_that_forgets_the_shape() -> None:
    def forgetful(maps: Any) -> Any:
        return tf.raw_ops.PlaceholderWithDefault(input=maps[1], shape=None)

    graph = tf.function(lambda *maps: combine_maps(maps, forgetful, None, "minmax"))
    first, second = random_maps(6, 2, (2, 4, 5))
    combined = graph(first, second)
    np.testing.assert_array_equal(combined, second)
    assert graph.get_concrete_function(first, second).structured_outputs.shape == (2, 4, 5)


# --- arguments ---


def test_what_may_combine() -> None:
    for allowed in (None, *COMBINATIONS, lambda maps: maps[0]):
        check_combine(allowed)
    for wrong in ("average", "", 1, ["mean"], True):
        with pytest.raises(InvalidArgumentError) as caught:
            check_combine(wrong)
        assert str(caught.value).startswith("`combine` must be one of 'mean', 'max', 'product' or a callable ")
        assert f"Received: {wrong!r}." in str(caught.value)
    with pytest.raises(InvalidArgumentError, match=r"Did you mean 'product'\?"):
        check_combine("prodcut")


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, None),
        ([1, 2, 0], (1.0, 2.0, 0.0)),
        ((0.5, 0, 0), (0.5, 0.0, 0.0)),
        (np.array([1, 2, 3], np.float32), (1.0, 2.0, 3.0)),
        ([np.int64(2), np.float32(0.5), 1], (2.0, 0.5, 1.0)),
        ({"block/*": 3}, (1.0, 3.0, 3.0)),
        ({"block/conv_1": 0, "block/*": 2}, (1.0, 0.0, 2.0)),
        ({"stem": np.float32(0.25)}, (0.25, 1.0, 1.0)),
        ({}, (1.0, 1.0, 1.0)),
    ],
)
def test_weights(weights: Any, expected: Any) -> None:
    resolved = resolve_weights(weights, "mean", PATHS)
    assert resolved == expected
    assert all(type(weight) is float for weight in resolved or ())


@pytest.mark.parametrize(
    ("weights", "allowed"),
    [
        ([1, 2], "a dict of patterns or 3 numbers, one a tap"),
        ([1, 2, 3, 4], "a dict of patterns or 3 numbers, one a tap"),
        ([], "a dict of patterns or 3 numbers, one a tap"),
        (2, "a dict of patterns or 3 numbers, one a tap"),
        (0.5, "a dict of patterns or 3 numbers, one a tap"),
        ("123", "a dict of patterns or 3 numbers, one a tap"),
        ([1, -1, 1], "numbers of at least 0, not all 0"),
        ([0, 0, 0], "numbers of at least 0, not all 0"),
        ([1, float("nan"), 1], "numbers of at least 0, not all 0"),
        ([1, float("inf"), 1], "numbers of at least 0, not all 0"),
        ([1, "2", 1], "numbers of at least 0, not all 0"),
        ([1, None, 1], "numbers of at least 0, not all 0"),
        ({"stem": -1}, "numbers of at least 0, not all 0"),
        ({"*": 0}, "numbers of at least 0, not all 0"),
    ],
)
def test_bad_weights(weights: Any, allowed: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        resolve_weights(weights, "mean", PATHS)
    assert str(caught.value) == f"`combine_weights` must be {allowed}. Received: {weights!r}."


def test_weights_without_a_named_combination() -> None:
    for combine in (None, lambda maps: maps[0]):
        with pytest.raises(InvalidArgumentError, match="`combine_weights` must be None unless `combine` is one of"):
            resolve_weights([1, 1, 1], combine, PATHS)
        assert resolve_weights(None, combine, PATHS) is None


def test_weights_for_a_layer_that_is_not_tapped() -> None:
    with pytest.raises(LayerNotFoundError, match="Received: 'blok/'"):
        resolve_weights({"blok/": 2}, "mean", PATHS)
