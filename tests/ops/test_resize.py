"""Resizing against the float64 oracle, tf.image.resize and numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import oracle
from support.oracle import assert_close

from visualcnn_tf.ops.resize import INTERPOLATIONS, planned_weights, resize

SHAPES = [
    ((4, 6), (8, 3)),
    ((5, 3), (7, 11)),
    ((9, 8), (4, 3)),
    ((1, 6), (5, 6)),
    ((6, 1), (1, 1)),
    ((7, 7), (7, 7)),
]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


# --- by hand ---


@pytest.mark.parametrize(
    ("interpolation", "before", "after"),
    [
        ("bilinear", [0, 1], [0, 1 / 4, 3 / 4, 1]),
        ("nearest", [0, 1], [0, 0, 1, 1]),
        # Keys's weights are 0.8671875 and -0.0703125 at the ends (the two samples beyond them do not count),
        # 0.8671875 and 0.2265625 inside; the quotients are exact.
        ("bicubic", [0, 1], [-3 / 34, 29 / 140, 111 / 140, 37 / 34]),
        ("area", [0, 1], [0, 1 / 4, 3 / 4, 1]),
        # Shrinking: a triangle of half-width 2 with weights 3/4, 3/4, 1/4 over their sum 7/4.
        ("bilinear", [1, 3, 5, 11], [17 / 7, 51 / 7]),
        ("nearest", [1, 3, 5, 11], [3, 11]),
        ("bicubic", [1, 3, 5, 11], [245 / 121, 927 / 121]),
        ("area", [1, 3, 5, 11], [2, 8]),
        ("area", [0, 3, 6], [1, 5]),
        ("nearest", [1, 2, 3], [1, 1, 2, 3, 3]),
        ("bilinear", [3], [3, 3, 3]),
        ("bicubic", [3], [3, 3, 3]),
    ],
)
def test_by_hand(interpolation: str, before: list[float], after: list[float]) -> None:
    maps, size = np.array([before], np.float32), (len(after),)
    np.testing.assert_allclose(resize(tf.constant(maps), size, interpolation)[0], after, rtol=1e-6)
    np.testing.assert_allclose(oracle.resize(maps, size, interpolation)[0], after, rtol=1e-12)


def test_axes_are_not_mixed_up() -> None:
    maps = tf.constant([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    tall = resize(maps, (4, 3), "nearest")[0].numpy()
    assert tall.tolist() == [[1, 2, 3], [1, 2, 3], [4, 5, 6], [4, 5, 6]]
    wide = resize(maps, (2, 6), "nearest")[0].numpy()
    assert wide.tolist() == [[1, 1, 2, 2, 3, 3], [4, 4, 5, 5, 6, 6]]
    cube = tf.reshape(tf.range(8.0), (1, 2, 2, 2))
    deep = resize(cube, (4, 2, 1), "area")[0].numpy()
    assert deep.tolist()[0] == [[0.5], [2.5]]
    assert deep.tolist()[3] == [[4.5], [6.5]]


# --- any size ---


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=3),
    batch=st.integers(1, 3),
    scale=st.integers(-6, 6),
    seed=st.integers(0, 2**32),
)
def test_equals_the_oracle(interpolation: str, sizes: list[tuple[int, int]], batch: int, scale: int, seed: int) -> None:
    before, after = zip(*sizes, strict=True)
    maps = np.random.default_rng(seed).normal(0.5, size=(batch, *before)) * 10.0**scale
    maps = maps.astype(np.float32)
    floor = 2e-7 * abs(maps).max()
    resized = resize(tf.constant(maps), after, interpolation)
    assert_close(resized, oracle.resize(maps, after, interpolation), floor=floor)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    before=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    after=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_equals_tensorflow(interpolation: str, before: tuple[int, int], after: tuple[int, int]) -> None:
    if interpolation == "area":  # TensorFlow's enlarges by repetition
        assume(after[0] <= before[0] and after[1] <= before[1])
    maps = random(2, *before)
    truth = tf.image.resize(maps[..., None], after, interpolation, antialias=True)[..., 0]
    resized = resize(tf.constant(maps), after, interpolation)
    np.testing.assert_allclose(resized, truth, atol=1e-5 * np.ptp(maps))


@pytest.mark.parametrize("size_in", [1, 2, 3, 5, 7, 14, 30, 100])
def test_nearest_takes_the_same_neighbor_as_tensorflow(size_in: int) -> None:
    # Exact halves, where one of two equally near neighbors is taken, are frequent among these.
    line = tf.range(size_in, dtype=tf.float32)[None]
    for size_out in [*range(1, 60), 224]:
        truth = tf.image.resize(line[..., None, None], (size_out, 1), "nearest")[..., 0, 0]
        np.testing.assert_array_equal(resize(line, (size_out,), "nearest"), truth)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_same_size_changes_nothing(interpolation: str) -> None:
    for maps in (random(2, 5), random(2, 5, 3), random(2, 5, 3, 4)):
        np.testing.assert_array_equal(resize(tf.constant(maps), maps.shape[1:], interpolation), maps)


@pytest.mark.parametrize(("before", "after"), [(12, 4), (12, 6), (12, 8), (12, 5), (9, 7), (5, 1), (3, 2)])
def test_area_is_the_average_of_boxes(before: int, after: int) -> None:
    maps = random(2, before, 3)
    fine = np.repeat(maps.astype(np.float64), after, axis=1)
    boxes = fine.reshape(2, after, before, 3).mean(2)
    np.testing.assert_allclose(resize(tf.constant(maps), (after, 3), "area"), boxes, atol=1e-6)


@pytest.mark.parametrize(("before", "after"), SHAPES)
def test_area_enlarges_as_bilinear_does(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    maps = tf.constant(random(2, *before))
    larger = [max(pair) for pair in zip(before, after, strict=True)]
    np.testing.assert_array_equal(resize(maps, larger, "area"), resize(maps, larger, "bilinear"))


def test_volumes_with_a_depth_of_one() -> None:
    # A product of rank 4 and rank 2 with such an axis corrupts the memory in TensorFlow 2.21.
    for shape, size in [((2, 1, 12, 4), (1, 5, 7)), ((8, 1, 8, 7), (1, 8, 6)), ((13, 3, 4, 1), (3, 4, 16))]:
        maps = random(*shape)
        assert_close(resize(tf.constant(maps), size), oracle.resize(maps, size, "bilinear"), floor=1e-6)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_an_empty_batch(interpolation: str) -> None:
    assert resize(tf.zeros((0, 4, 5)), (7, 3), interpolation).shape == (0, 7, 3)


def test_planned_weights_sum_to_one_and_cannot_be_changed() -> None:
    for interpolation in INTERPOLATIONS:
        for before, after in [(3, 8), (8, 3), (1, 4), (4, 1), (7, 224), (224, 7)]:
            weights = planned_weights(before, after, interpolation)
            assert weights.shape == (before, after)
            assert weights.dtype == np.float32
            np.testing.assert_allclose(weights.sum(0), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


# By powers of two TensorFlow's own op enlarges, but for a last axis that grows by 8 or more; by all other factors, and
# there, a product of matrices.
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((7, 14), (224, 56)),
        ((3, 5), (12, 5)),
        ((112,), (224,)),
        ((1, 5), (16, 10)),
        ((2, 3, 5), (4, 3, 20)),
        ((2, 3, 4), (4, 24, 32)),
        ((5,), (80,)),
        ((14, 7), (28, 7 * 8)),
        ((37, 37), (299, 299)),
    ],
)
def test_enlarging(before: tuple[int, ...], after: tuple[int, ...]) -> None:
    maps = random(2, *before)
    for function in (resize, tf.function(resize), tf.function(resize, jit_compile=True)):
        assert_close(function(tf.constant(maps), after), oracle.resize(maps, after, "bilinear"), floor=2e-7)


# --- in graphs ---


def dynamic(interpolation: str, maps_shape: Any) -> Any:
    """Resizing to a size that is known at run time only, of maps of which only ``maps_shape`` is known."""

    @tf.function(input_signature=[tf.TensorSpec(maps_shape), tf.TensorSpec((2,), tf.int32)])
    def graph(maps: Any, size: Any) -> Any:
        return resize(maps, tf.unstack(size), interpolation)

    return graph


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_sizes_known_at_run_time_only(interpolation: str) -> None:
    graph = dynamic(interpolation, (None, None, None))
    for before, after in SHAPES:
        maps = random(2, *before)
        resized = graph(maps, after)
        assert_close(resized, oracle.resize(maps, after, interpolation), floor=1e-6)
        np.testing.assert_allclose(resized, resize(tf.constant(maps), after, interpolation), atol=1e-6)
        np.testing.assert_array_equal(graph(maps, before), maps)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_one_of_the_sizes_known(interpolation: str) -> None:
    maps = random(2, 4, 6)
    graph = dynamic(interpolation, (None, 4, None))
    assert_close(graph(maps, (8, 3)), oracle.resize(maps, (8, 3), interpolation), floor=1e-6)
    graph = tf.function(
        lambda maps: resize(maps, (8, 3), interpolation), input_signature=[tf.TensorSpec((None, None, 6))]
    )
    assert graph.get_concrete_function().structured_outputs.shape.as_list() == [None, 8, 3]
    assert_close(graph(maps), oracle.resize(maps, (8, 3), interpolation), floor=1e-6)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_xla(interpolation: str) -> None:
    @tf.function(jit_compile=True)
    def compiled(maps: Any, like: Any) -> tuple[Any, Any]:
        return (
            resize(maps, like.shape[1:], interpolation),
            resize(maps, tf.unstack(tf.shape(like)[1:]), interpolation),
        )

    for before, after in SHAPES[1:3]:
        maps = random(2, *before)
        for resized in compiled(maps, np.zeros((2, *after))):
            assert_close(resized, oracle.resize(maps, after, interpolation), floor=1e-6)
