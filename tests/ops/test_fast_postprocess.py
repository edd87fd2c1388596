"""Scaling before enlarging: the same heatmaps as by the oracle, which enlarges first; exact ends all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.oracle import assert_close

from visualcnn_tf.ops.fast.enlarge import neighbors
from visualcnn_tf.ops.fast.environment import Environment
from visualcnn_tf.ops.fast.extremes import extremes, has_few_corners
from visualcnn_tf.ops.fast.postprocess import postprocess_all
from visualcnn_tf.ops.fast.xla import Compiled
from visualcnn_tf.ops.normalize import DTYPES
from visualcnn_tf.ops.postprocess import FusedMap, PostProcessing
from visualcnn_tf.ops.resize import INTERPOLATIONS, resize

HOWS = ["minmax", "max", ("range", -0.5, 2.0), None]
SIZES = [((7, 7), (224, 224)), ((3, 5), (64, 31)), ((5, 4), (5, 90)), ((1, 6), (40, 41)), ((9,), (64,))]
# Raw values do not fit into uint8.
CHOICES = [(how, dtype) for how in HOWS for dtype in DTYPES if (how, dtype) != (None, "uint8")]
SAME = ((8, 8), (8, 8))
SHRINKING = [((30, 20), (11, 13)), ((20, 5), (9, 60))]
STEP = {"float32": 0.0, "float16": 2.0**-11}
PLAIN = Environment(compiled=False, cpu=True, exporting=False)
COMPILED = Environment(compiled=True, cpu=True, exporting=False)


def finish(maps: Any, size: Any, interpolation: str, normalize: Any, dtype: str, finite: Any = None) -> Any:
    finite = tf.ones_like(maps[(slice(None), *[slice(1)] * (maps.shape.rank - 1))], bool) if finite is None else finite
    return postprocess_all([FusedMap(maps, finite, PostProcessing(size, interpolation, normalize, dtype))])[0]


def maps_of(space: tuple[int, ...], seed: int = 0, offset: float = 0.3) -> Any:
    return np.random.default_rng(seed).normal(offset, size=(3, *space)).astype(np.float32)


@pytest.mark.parametrize(("how", "dtype"), CHOICES, ids=str)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(("before", "after"), [*SIZES, SAME, *SHRINKING], ids=str)
def test_equals_the_oracle(before: Any, after: Any, interpolation: str, how: Any, dtype: str) -> None:
    maps = maps_of(before)
    want = oracle.normalized(oracle.resize(maps, after, interpolation), how)
    got = finish(tf.constant(maps), after, interpolation, how, dtype)
    assert got.dtype.name == dtype
    if dtype == "uint8":
        assert abs(got.numpy() - 255.0 * want.clip(0, 1)).max() <= 0.501
    else:
        assert_close(got.numpy(), want, 1e-5 + STEP[dtype])


@pytest.mark.parametrize(("before", "after"), [(1, 4), (3, 7), (4, 8), (5, 5)])
def test_samples_lie_between_the_first_and_the_last_pixel(before: int, after: int) -> None:
    first, distance = neighbors(before, after)
    centers = (np.arange(after) + 0.5) * before / after - 0.5
    np.testing.assert_allclose(first + distance, np.minimum(np.maximum(centers, 0), before - 1), rtol=0, atol=1e-6)
    assert np.all((distance >= 0) & (distance < 1))


def test_a_map_by_itself_is_not_joined_with_others() -> None:
    def joins(count: int) -> int:
        with tf.Graph().as_default() as graph:
            settings = PostProcessing((64, 64), "bilinear", "minmax", "float32")
            maps = [tf.compat.v1.placeholder(tf.float32, (2, 4, 4)) for _ in range(count)]
            postprocess_all([FusedMap(one, tf.ones((2, 1, 1), bool), settings) for one in maps], [None] * count)
            return sum(op.type == "ConcatV2" and op.outputs[0].dtype == tf.float32 for op in graph.get_operations())

    assert joins(1) == 0
    assert joins(2) == 1


@pytest.mark.sweep(cases=3)
@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "area"])
@pytest.mark.parametrize(("before", "after"), SIZES, ids=str)
def test_the_ends_are_exact(before: Any, after: Any, interpolation: str, xla: bool) -> None:
    assert has_few_corners(before, after, interpolation, PLAIN)
    run = tf.function(lambda maps: finish(maps, after, interpolation, "minmax", "float32"), jit_compile=xla)
    for offset in (0.0, 1.0, -1000.0):
        heatmaps = run(tf.constant(maps_of(before, offset=offset))).numpy().reshape(3, -1)
        assert heatmaps.min(1).tolist() == [0.0] * 3
        assert heatmaps.max(1).tolist() == [1.0] * 3
    as_uint8 = finish(tf.constant(maps_of(before)), after, interpolation, "minmax", "uint8").numpy().reshape(3, -1)
    assert as_uint8.min(1).tolist() == [0] * 3
    assert as_uint8.max(1).tolist() == [255] * 3


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    pairs=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 12)), min_size=1, max_size=3),
    interpolation=st.sampled_from(["bilinear", "nearest", "area"]),
    seed=st.integers(0, 2**32),
)
def test_extremes_are_those_of_the_enlarged_map(pairs: list[tuple[int, int]], interpolation: str, seed: int) -> None:
    before = tuple(small for small, _ in pairs)
    after = tuple(small * factor + seed % 3 for small, factor in pairs)
    maps = tf.constant(maps_of(before, seed))
    space = tuple(range(1, len(before) + 1))
    every = resize(maps, after, interpolation).numpy()
    for run in (lambda *given: extremes(*given, PLAIN), Compiled(lambda *given: extremes(*given, COMPILED))):
        low, high = run(maps, after, interpolation)
        np.testing.assert_allclose(low, every.min(space, keepdims=True), rtol=0, atol=1e-6)
        np.testing.assert_allclose(high, every.max(space, keepdims=True), rtol=0, atol=1e-6)


@pytest.mark.parametrize("how", HOWS[:2])
@pytest.mark.parametrize("value", [0.0, 5.3, -5.3, 1e-30, 3e38])
def test_a_constant_map_is_no_heatmap(value: float, how: str) -> None:
    got = finish(tf.fill((2, 7, 7), value), (224, 224), "bilinear", how, "float32").numpy()
    want = 0.0 if how == "minmax" else np.sign(value)
    np.testing.assert_allclose(got, np.full((2, 224, 224), want), rtol=1e-6)


def test_values_at_the_limits_of_float32() -> None:
    for scale in (1e-30, 1e30):
        maps = maps_of((7, 7)).astype(np.float64) * scale
        want = oracle.normalized(oracle.resize(maps, (56, 56), "bilinear"), "minmax")
        assert_close(finish(tf.constant(maps, tf.float32), (56, 56), "bilinear", "minmax", "float32").numpy(), want)


def test_unknown_sizes() -> None:
    maps = maps_of((7, 6))
    run = tf.function(
        lambda maps, size: finish(maps, list(tf.unstack(size)), "bilinear", "minmax", "float32"),
        input_signature=[tf.TensorSpec((None, None, None)), tf.TensorSpec((2,), tf.int32)],
    )
    want = oracle.normalized(oracle.resize(maps, (64, 30), "bilinear"), "minmax")
    assert_close(run(maps, (64, 30)).numpy(), want)


def test_what_is_not_finite_stays_black_in_a_range() -> None:
    finite = tf.constant([True, False, True])[:, tf.newaxis, tf.newaxis]
    heatmaps = finish(tf.zeros((3, 4, 4)), (32, 32), "bilinear", ("range", -1.0, 1.0), "float32", finite).numpy()
    assert [one.tolist() for one in (heatmaps.min((1, 2)), heatmaps.max((1, 2)))] == [[0.5, 0.0, 0.5]] * 2


def test_few_corners() -> None:
    assert has_few_corners((7, 7), (224, 224), "bilinear", PLAIN)
    assert not has_few_corners((112, 112), (224, 224), "bilinear", PLAIN)  # all of them
    assert not has_few_corners((7, 7), (224, 224), "bicubic", PLAIN)  # it overshoots between the centers
    assert not has_few_corners((7, 300), (224, 224), "bilinear", PLAIN)  # it shrinks
    assert not has_few_corners((None, 7), (224, 224), "bilinear", PLAIN)


def test_corners_that_are_not_written_may_be_many() -> None:
    assert has_few_corners((112, 112), (224, 224), "bilinear", COMPILED)
    assert has_few_corners((224, 112), (224, 113), "area", COMPILED)
    assert not has_few_corners((224, 224), (224, 224), "bilinear", COMPILED)  # nothing is enlarged
    assert not has_few_corners((112, 112), (224, 224), "nearest", COMPILED)
    assert not has_few_corners((7, 7), (224, 224), "bicubic", COMPILED)
    assert not has_few_corners((None, 7), (224, 224), "bilinear", COMPILED)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("how", HOWS[:3], ids=str)
def test_together_as_alone(how: Any, dtype: str) -> None:
    settings = PostProcessing((56, 56), "bilinear", how, dtype)
    shapes = [
        ((7, 7), "a", [True, True, True]),
        ((14, 14), "a", [True, True, True]),
        ((7, 7), "a", [True, False, True]),
        ((7, 7), "b", [True, True, True]),
        ((28, 28), "a", [True, True, True]),
        ((14, 14), "a", [False, True, True]),
    ]
    fused = [
        FusedMap(tf.constant(maps_of(space, seed)), tf.constant(finite)[:, tf.newaxis, tf.newaxis], settings)
        for seed, (space, _, finite) in enumerate(shapes)
    ]
    together = postprocess_all(fused, [batch for _, batch, _ in shapes])
    for one, heatmap in zip(fused, together, strict=True):
        # Products of batches of another size may round otherwise.
        alone = postprocess_all([one])[0].numpy().astype(float)
        np.testing.assert_allclose(heatmap.numpy().astype(float), alone, rtol=0, atol=1 if dtype == "uint8" else 1e-6)
