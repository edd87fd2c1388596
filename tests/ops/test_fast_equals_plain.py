"""``ops.fast`` computes what ``ops.postprocess`` defines, for random maps, sizes and settings, in every mode.

Bounds, for heatmaps of values up to 1:

- float32: 1e-6, where both ways do the same operations in another order or by other kernels. Maps that are scaled
  before they are enlarged overshoot by 2**-19 before they are clipped, and so move by as much.
- float16: one step more, for a difference of 1e-6 can move a number over the middle between two steps.
- uint8: one step, at one pixel in two hundred.

Raw maps (``normalize=None``) are compared with the largest value of the map, and maps with an offset with how much
larger that is than what they span, since float32 rounds them so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from visualcnn_tf.ops.exporting import exporting
from visualcnn_tf.ops.fast.postprocess import postprocess_all
from visualcnn_tf.ops.normalize import DTYPES
from visualcnn_tf.ops.postprocess import FusedMap, PostProcessing, postprocess
from visualcnn_tf.ops.resize import INTERPOLATIONS

NORMALIZATIONS = ["minmax", "minmax", "max", ("range", -0.5, 2.0), None]
KINDS = ["any", "not finite", "constant", "offset", "zeros"]


@dataclass
class Case:
    """Maps ``(B, ...)``, which of them are finite, and settings."""

    maps: np.ndarray
    finite: np.ndarray
    settings: PostProcessing

    def fused(self, jit_compile: bool = False) -> FusedMap:
        return FusedMap(tf.constant(self.maps), tf.constant(self.finite), self.settings, jit_compile)


def random_size(rng: np.random.Generator, before: int, largest: int) -> int:
    """Doubled some times, of any size, or unchanged."""
    choices = [before * 2 ** int(rng.integers(1, 6)), int(rng.integers(1, largest + 1)), before]
    return min(int(choices[rng.choice(3, p=[0.5, 0.4, 0.1])]), largest)


def random_case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    rank = int(rng.choice([1, 2, 2, 2, 3]))
    largest_in, largest_out = {1: (40, 200), 2: (16, 120), 3: (5, 24)}[rank]
    before = [int(n) for n in rng.integers(1, largest_in + 1, rank)]
    size = None if rng.random() < 0.1 else tuple(random_size(rng, n, largest_out) for n in before)
    normalize = NORMALIZATIONS[rng.integers(len(NORMALIZATIONS))]
    dtype = rng.choice(DTYPES[:2] if normalize is None else DTYPES)
    interpolation = str(rng.choice(INTERPOLATIONS, p=[0.5, 0.1, 0.2, 0.2]))
    batch = int(rng.integers(1, 5))
    maps = rng.normal(0.3, size=(batch, *before))
    finite = np.ones((batch, *[1] * rank), bool)
    for image in range(batch):
        kind = rng.choice(KINDS, p=[0.6, 0.1, 0.1, 0.1, 0.1])
        if kind in ("not finite", "zeros"):
            maps[image] = 0.0
            finite[image] = kind == "zeros"
        elif kind == "constant":
            maps[image] = maps[image].flat[0]
        elif kind == "offset":
            maps[image] += 20.0
    return Case(maps.astype(np.float32), finite, PostProcessing(size, interpolation, normalize, str(dtype)))


def eager(case: Case) -> tf.Tensor:
    return postprocess_all([case.fused()])[0]


def as_graph(case: Case, jit_compile: bool = False, compile_all: bool = False) -> tf.Tensor:
    """In a graph that does not know the number of images."""
    specs = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in (case.maps, case.finite)]

    def run(maps: tf.Tensor, finite: tf.Tensor) -> tf.Tensor:
        return postprocess_all([FusedMap(maps, finite, case.settings, jit_compile)])[0]

    return tf.function(run, input_signature=specs, jit_compile=compile_all, autograph=False)(case.maps, case.finite)


def of_unknown_size(case: Case) -> tf.Tensor:
    specs = [tf.TensorSpec([None] * case.maps.ndim, array.dtype) for array in (case.maps, case.finite)]
    run = tf.function(lambda maps, finite: postprocess_all([FusedMap(maps, finite, case.settings)])[0], specs)
    return run(case.maps, case.finite)


def with_a_twin(case: Case) -> tf.Tensor:
    """Beside other maps of the same size."""
    twin = Case(case.maps[::-1] * 3.0, case.finite[::-1], case.settings)
    return postprocess_all([twin.fused(), case.fused()], ["batch", "batch"])[1]


def exported(case: Case) -> tf.Tensor:
    with exporting():
        return as_graph(case, jit_compile=True)


MODES: dict[str, Callable[[Case], tf.Tensor]] = {
    "eager": eager,
    "graph": as_graph,
    "heatmaps by XLA": lambda case: as_graph(case, jit_compile=True),
    "everything by XLA": lambda case: as_graph(case, compile_all=True),
    "unknown size": of_unknown_size,
    "twin": with_a_twin,
    "exported": exported,
}
#: XLA takes a tenth of a second to compile a program.
COUNTS = {"graph": 30, "heatmaps by XLA": 25, "everything by XLA": 10, "unknown size": 8, "exported": 10}


def bounds(case: Case) -> np.ndarray:
    """How far each image's float32 heatmap may be off."""
    space = tuple(range(1, case.maps.ndim))
    largest = abs(case.maps).max(space, keepdims=True).astype(float)
    span = np.ptp(case.maps, space, keepdims=True).astype(float)
    if case.settings.normalize is None:
        return 1e-6 * np.maximum(largest, 1.0)
    offset = largest / np.where(span > 1e-6 * largest, span, np.inf) if case.settings.normalize == "minmax" else largest
    return 1e-6 * np.maximum(offset, 1.0) + 2.0**-19


def check(case: Case, got: Any) -> None:
    want = postprocess(case.fused()).numpy()
    got = got.numpy()
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    off = abs(got.astype(float) - want.astype(float))
    if got.dtype == np.uint8:
        assert off.max() <= 1
        assert (off != 0).mean() <= 0.005
        return
    step = np.spacing(abs(want)).astype(float) if got.dtype == np.float16 else 0.0
    assert (off <= bounds(case) + step).all(), f"off by {off.max()}"
    if case.settings.normalize is not None:
        assert not got[~case.finite.reshape(-1)].any()


@pytest.mark.sweep(cases=3)
@pytest.mark.parametrize("mode", MODES)
def test_the_same_heatmaps(mode: str) -> None:
    for seed in range(COUNTS.get(mode, 100)):
        case = random_case(seed)
        try:
            check(case, MODES[mode](case))
        except AssertionError as error:
            raise AssertionError(f"random_case({seed}): {case.maps.shape} to {case.settings}") from error


def test_every_kind_of_settings_is_among_the_cases() -> None:
    settings = [random_case(seed).settings for seed in range(25)]
    assert {one.interpolation for one in settings} == set(INTERPOLATIONS)
    assert {one.normalize for one in settings} == set(NORMALIZATIONS)
    assert {one.heatmap_dtype for one in settings} == set(DTYPES)
    assert {None, 1, 2, 3} == {one.size and len(one.size) for one in settings}
