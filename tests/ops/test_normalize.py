"""Normalization and casts against the float64 oracle, exact at the ends and at the limits of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from support import oracle
from support.oracle import assert_close

from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.ops.normalize import DTYPES, cast_maps, check_heatmap_dtype, check_normalize, normalize_maps
from visualcnn_tf.ops.resize import INTERPOLATIONS, resize

HOWS = ["minmax", "max", ("range", -0.5, 2.0), None]


def in_every_mode(function: Any) -> list[Any]:
    return [function, tf.function(function), tf.function(function, jit_compile=True)]


# --- by hand ---


@pytest.mark.parametrize(
    ("how", "before", "after"),
    [
        ("minmax", [[2, 4], [3, 6]], [[0, 0.5], [0.25, 1]]),
        ("minmax", [[-1, 1], [0, -3]], [[0.5, 1], [0.75, 0]]),
        ("minmax", [[7, 7], [7, 7]], [[0, 0], [0, 0]]),
        ("max", [[2, 4], [0, 1]], [[0.5, 1], [0, 0.25]]),
        ("max", [[2, -4], [0, 1]], [[0.5, -1], [0, 0.25]]),
        ("max", [[-4, -4], [-4, -4]], [[-1, -1], [-1, -1]]),
        ("max", [[0, 0], [0, 0]], [[0, 0], [0, 0]]),
        (("range", -1, 3), [[-1, 0], [1, 3]], [[0, 0.25], [0.5, 1]]),
        (("range", -1, 3), [[-9, 3.5], [2, 99]], [[0, 1], [0.75, 1]]),
        (None, [[2, -4], [0, 1]], [[2, -4], [0, 1]]),
    ],
)
def test_by_hand(how: Any, before: Any, after: Any) -> None:
    maps = np.array([before], np.float32)
    assert normalize_maps(tf.constant(maps), how)[0].numpy().tolist() == after
    assert oracle.normalized(maps, how)[0].tolist() == after


@pytest.mark.parametrize(
    ("dtype", "before", "after"),
    [
        ("uint8", [0, 1, 0.5, 0.25, 0.1], [0, 255, 128, 64, 26]),  # 127.5 and 63.75 round up, 25.5 to even
        ("uint8", [-1, 2, 1e30, -1e30, 1 / 255], [0, 255, 255, 0, 1]),
        ("float16", [0, 1, 0.1, 65504, 1e9], [0, 1, np.float16(0.1), 65504, 65504]),
        ("float16", [-1e9, 2049, 2051, 1 + 2**-11, 3e38], [-65504, 2048, 2052, 1, 65504]),
        ("float32", [0.1, 1e9, -2, 0, 1], [np.float32(0.1), 1e9, -2, 0, 1]),
    ],
)
def test_casts_by_hand(dtype: str, before: list[float], after: list[float]) -> None:
    maps = np.array([before], np.float32)
    for run in in_every_mode(lambda maps: cast_maps(maps, dtype)):
        cast = run(tf.constant(maps))
        assert cast.dtype.name == dtype
        assert cast[0].numpy().tolist() == after
    assert oracle.cast(maps, dtype)[0].tolist() == after


# --- any maps ---


@pytest.mark.parametrize("how", HOWS, ids=str)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    space=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    batch=st.integers(1, 3),
    scale=st.integers(-30, 30),
    offset=st.sampled_from([0.0, 1.0, -20.0]),
    seed=st.integers(0, 2**32),
)
def test_equals_the_oracle(how: Any, space: list[int], batch: int, scale: int, offset: float, seed: int) -> None:
    maps = np.random.default_rng(seed).normal(offset, size=(batch, *space)) * 10.0**scale
    maps = maps.astype(np.float32)
    assert_close(normalize_maps(tf.constant(maps), how), oracle.normalized(maps, how))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(scale=st.integers(-30, 30), offset=st.sampled_from([0.0, 1.0, -20.0]), seed=st.integers(0, 2**32))
def test_minmax_reaches_its_ends_exactly(scale: int, offset: float, seed: int) -> None:
    maps = np.random.default_rng(seed).normal(offset, size=(3, 4, 5)) * 10.0**scale
    for run in MINMAX_IN_EVERY_MODE:
        normalized = run(tf.constant(maps, tf.float32)).numpy()
        assert normalized.min((1, 2)).tolist() == [0.0] * 3
        assert normalized.max((1, 2)).tolist() == [1.0] * 3


MINMAX_IN_EVERY_MODE = in_every_mode(lambda maps: normalize_maps(maps, "minmax"))


@pytest.mark.parametrize("span", [1e-2, 1e-6, 1e-10])
def test_a_graph_scales_small_spans_as_exactly(span: float) -> None:
    # Of a known shape, of several images: TensorFlow's optimizer reorders sums there, and would add a small number to
    # 1 before it takes 1 off.
    maps = (span * np.random.default_rng(0).random((8, 12, 12))).astype(np.float32)
    graph = tf.function(lambda maps: normalize_maps(maps, "minmax"), autograph=False)
    assert_close(graph(tf.constant(maps)), oracle.normalized(maps, "minmax"))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(values=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=20))
def test_uint8_is_the_nearest_of_256(values: list[float]) -> None:
    maps = np.array([values], np.float32)
    levels = np.clip(maps, 0, 1).astype(np.float64) * 255
    cast = cast_maps(tf.constant(maps), "uint8").numpy().astype(np.float64)
    assert abs(cast - levels).max() <= 0.5 + 1e-4


# --- constant maps ---


@pytest.mark.parametrize("value", [0.0, 5.3, -5.3, 1e-30, 3e38])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_constant_map_stays_constant_when_resized(value: float, interpolation: str) -> None:
    # The weights of a sample sum to 1 but for rounding, which must not be blown up to the range from 0 to 1.
    for before, after in [((7, 7), (224, 224)), ((3, 5), (64, 31)), ((50, 40), (13, 7)), ((1, 1), (9, 9))]:
        maps = resize(tf.fill((2, *before), value), after, interpolation)
        np.testing.assert_array_equal(normalize_maps(maps, "minmax"), np.zeros((2, *after)))
        ones = np.full((2, *after), np.sign(value))
        np.testing.assert_allclose(normalize_maps(maps, "max"), ones, rtol=1e-6)


def test_what_counts_as_constant() -> None:
    maps = np.ones((4, 2, 2), np.float32)
    maps[0, 0, 0] += 2**-20  # 0.95 millionths
    maps[1, 0, 0] += 2**-19  # 1.9 millionths
    maps[2] *= -1000
    maps[2, 0, 0] += 2**-14 * 8  # 0.49 millionths of 1000
    maps[3] *= 1e-20
    maps[3, 0, 0] *= 2
    normalized = normalize_maps(tf.constant(maps), "minmax")
    one = [[1, 0], [0, 0]]
    none = [[0, 0], [0, 0]]
    assert normalized.numpy().tolist() == [none, one, none, one]


# --- each image for itself; the limits of float32 ---


@pytest.mark.parametrize("how", HOWS, ids=str)
def test_an_image_does_not_depend_on_its_batch(how: Any) -> None:
    maps = np.random.default_rng(0).normal(size=(3, 4, 5)) * [[[1]], [[1e9]], [[1e-9]]]
    maps = maps.astype(np.float32)
    together = normalize_maps(tf.constant(maps), how)
    for b in range(3):
        np.testing.assert_array_equal(together[b], normalize_maps(tf.constant(maps[b : b + 1]), how)[0])


EXTREMES = [(-3e38, 3e38), (0.0, 3e38), (-3e38, -1e38), (0.0, 2e-38), (0.0, 1e-45)]


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("values", EXTREMES, ids=str)
def test_the_limits_of_float32_give_no_nan(how: Any, values: tuple[float, float]) -> None:
    maps = np.full((1, 2, 2), values[0], np.float32)
    maps[0, 0, 0] = values[1]
    for run in in_every_mode(lambda maps: normalize_maps(maps, how)):
        normalized = run(tf.constant(maps)).numpy()
        assert np.isfinite(normalized).all()
        if values[1] != 1e-45:  # a subnormal number may count as zero
            assert_close(normalized, oracle.normalized(maps, how))


@pytest.mark.sweep
@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("values", [*EXTREMES[:3], (0.0, 0.0), (5.3, 5.3), (1.0, 2.0)], ids=str)
def test_gradients_are_finite(how: Any, values: tuple[float, float]) -> None:
    def gradient(maps: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(maps)
            normalized = normalize_maps(maps, how)
            total = tf.reduce_sum(normalized * [[0.5, -0.25], [1.0, 2.0]])
        return tape.gradient(total, maps)

    maps = np.full((1, 2, 2), values[0], np.float32)
    maps[0, 0, 0] = values[1]
    for run in in_every_mode(gradient):
        assert np.isfinite(run(tf.constant(maps))).all()


def test_a_spread_beyond_float32_gives_zeros() -> None:
    maps = tf.constant([[[-3e38, 3e38], [0, 1]], [[-1.5e38, 1.5e38], [0, 1.5e38]]])
    normalized = normalize_maps(maps, "minmax")
    assert normalized.numpy().tolist() == [[[0, 0], [0, 0]], [[0, 1], [0.5, 1]]]


@pytest.mark.parametrize("how", HOWS, ids=str)
@pytest.mark.parametrize("shape", [(0, 4, 5), (0, 7)])
def test_an_empty_batch(how: Any, shape: tuple[int, ...]) -> None:
    assert normalize_maps(tf.zeros(shape), how).shape == shape


# --- arguments ---


def test_the_canonical_form() -> None:
    assert [check_normalize(how) for how in ("minmax", "max", None)] == ["minmax", "max", None]
    for given_as in (("range", 0, 2), ["range", 0, 2], ("range", np.float32(0), np.int64(2))):
        checked = check_normalize(given_as)
        assert checked == ("range", 0.0, 2.0)
        assert [type(part) for part in checked] == [str, float, float]
    for dtype in ("float16", tf.float16, np.dtype("float16")):
        assert check_heatmap_dtype(dtype, "max") == "float16"
    assert check_heatmap_dtype("float32", None) == "float32"


@pytest.mark.parametrize(
    "wrong",
    [
        "min-max",
        "",
        True,
        1,
        ("minmax",),
        ("range",),
        ("range", 0),
        ("range", 0, 1, 2),
        ("max", 0, 1),
        {},
        b"max",
    ],
)
def test_what_is_no_normalization(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_normalize(wrong)
    allowed = "'minmax', 'max', ('range', low, high) or None"
    assert str(caught.value) == f"`normalize` must be {allowed}. Received: {wrong!r}."


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1, 1),
        (2, 1),
        (float("nan"), 1),
        (0, float("nan")),
        (0, float("inf")),
        (-float("inf"), 0),
        ("0", 1),
        (None, 1),
        (0, 1j),
        # Finite, but no longer so in float32, or with a difference that is zero there.
        (0, 1e39),
        (-3e38, 3e38),
        (-1e300, 1e300),
        (0, 1e-39),
        (0, 1e-50),
    ],
)
def test_what_is_no_range(low: Any, high: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_normalize(("range", low, high))
    message = str(caught.value)
    assert message.startswith("`normalize` must be ('range', low, high) with ")
    assert f"Received: {('range', low, high)!r}" in message


@pytest.mark.parametrize("bounds", [(0, 1e-37), (-1.6e38, 1.6e38), (1e30, 2e30), (-1e-37, 0)])
def test_the_extreme_ranges(bounds: tuple[float, float]) -> None:
    how = check_normalize(("range", *bounds))
    maps = np.array([[bounds[0], bounds[1], (bounds[0] + bounds[1]) / 2, 3e38, -3e38, 0]], np.float32)
    assert_close(normalize_maps(tf.constant(maps), how), oracle.normalized(maps, how))


def test_what_is_no_dtype() -> None:
    for wrong in ("int8", "float64", "uint-8", None, tf.bfloat16, 8):
        with pytest.raises(
            InvalidArgumentError, match=r"`heatmap_dtype` must be one of 'float32', 'float16', 'uint8'\. R"
        ):
            check_heatmap_dtype(wrong, "minmax")
    with pytest.raises(InvalidArgumentError, match=r"Received: 'unit8'. Did you mean 'uint8'\?"):
        check_heatmap_dtype("unit8", "minmax")
    with pytest.raises(
        InvalidArgumentError, match=r"`heatmap_dtype` must be 'float32' or 'float16' with `normalize=None`\."
    ):
        check_heatmap_dtype("uint8", None)


def test_every_type_is_tested_here() -> None:
    assert DTYPES == ("float32", "float16", "uint8")
