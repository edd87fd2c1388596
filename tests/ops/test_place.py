"""Maps placed in a picture of which they cover a part, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from visualcnn_tf.ops.place import Region, place

MAPS = np.random.default_rng(0).random((2, 4, 6)).astype("float32") + 1.0


def placed(size: Any, box: Any, order: Any = (0, 1)) -> Any:
    return place(tf.constant(MAPS), size, Region(box, order), "nearest", lambda maps: 2.0 * maps).numpy()


def test_inside() -> None:
    want = np.zeros((2, 16, 24))
    want[:, 4:12, 6:18] = 2.0 * MAPS.repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(placed((16, 24), ((0.25, 0.75), (0.25, 0.75))), want)


def test_beyond() -> None:
    want = 2.0 * MAPS[:, 1:3, 1:6]
    np.testing.assert_allclose(placed((2, 5), ((-0.5, 1.5), (-0.2, 1.0))), want)


def test_inside_of_one_axis_and_beyond_the_other() -> None:
    want = np.zeros((2, 2, 12))
    want[:, :, 3:9] = 2.0 * MAPS[:, 1:3]
    np.testing.assert_allclose(placed((2, 12), ((-0.5, 1.5), (0.25, 0.75))), want)


def test_transposed() -> None:
    want = 2.0 * MAPS.transpose(0, 2, 1)
    np.testing.assert_allclose(placed((6, 4), ((0.0, 1.0), (0.0, 1.0)), (1, 0)), want)


@pytest.mark.parametrize("start", [-0.3, 0.0, 0.49, 0.999])
def test_a_part_of_less_than_a_pixel_has_one(start: float) -> None:
    seen = placed((8, 8), ((start, start + 0.001), (0.0, 1.0)))
    assert (seen > 0).any(axis=2).sum(axis=1).tolist() == [1, 1]


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("box", [((0.25, 0.75), (0.25, 0.75)), ((-0.5, 1.5), (0.1, 1.2)), ((0.0, 1.0), (0.0, 1.0))])
@pytest.mark.parametrize("compiled", [False, True])
def test_numbers_that_are_known_at_run_time_only(box: Any, compiled: bool) -> None:
    @tf.function(jit_compile=compiled, input_signature=[tf.TensorSpec((None, 20, 24))])
    def dynamic(picture: tf.Tensor) -> tf.Tensor:
        height = tf.cast(tf.shape(picture)[1], tf.float32)
        ends = tuple((start * height / 20.0, stop * height / 20.0) for start, stop in box)
        return place(tf.constant(MAPS), (20, 24), Region(ends, (0, 1)), "nearest", lambda maps: 2.0 * maps)

    np.testing.assert_allclose(dynamic(np.zeros((1, 20, 24), "float32")), placed((20, 24), box))
