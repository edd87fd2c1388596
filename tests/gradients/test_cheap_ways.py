"""Where a gradient can be computed in a cheap way, it is: seen by the operations that it is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from visualcnn_tf.gradients.backward import backward_pass
from visualcnn_tf.gradients.rules.linear import columns_of
from visualcnn_tf.ops.exporting import frozen_weights


def made_of(function: Callable[[Any], Any], *shape: int) -> Counter[str]:
    """The types of the operations that a gradient adds to a graph, but for constants."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, shape)
        y = function(x)
        before = len(graph.get_operations())
        backward_pass([y], [tf.ones_like(y)], [x])
        return Counter(op.type for op in graph.get_operations()[before:] if op.type not in ("Const", "OnesLike"))


def test_a_permutation_is_turned_back_by_a_gather() -> None:
    found = made_of(lambda x: tf.gather(x, [2, 0, 1, 3], axis=1), 2, 4, 3)
    assert found["GatherV2"] == 1
    assert not {"MatMul", "BatchMatMulV2", "UnsortedSegmentSum"} & set(found)


def test_repeated_pixels_are_summed_by_pooling() -> None:
    found = made_of(lambda x: tf.image.resize(x, [8, 12], "nearest"), 1, 4, 4, 3)
    assert found["AvgPool"] == 1
    assert not {"MatMul", "BatchMatMulV2"} & set(found)


@pytest.mark.parametrize("kernel", [(3, 3), (2, 3), (5, 4)])
def test_same_padding_is_left_to_the_convolution(kernel: tuple[int, int]) -> None:
    mirrored = [size if size % 2 else size + 1 for size in kernel]  # an even kernel is padded on the other side
    found = made_of(lambda x: tf.nn.depthwise_conv2d(x, tf.ones([*mirrored, 3, 1]), [1] * 4, "SAME"), 1, 9, 9, 3)
    assert "Pad" not in found
    assert "PadV2" not in found


def test_a_file_of_frozen_weights_holds_them_once() -> None:
    """Beside them in the forward pass stands their transposition, which is what the file has of them."""

    def first_operations() -> list[str]:
        with tf.Graph().as_default() as graph:
            matrix, classes = tf.compat.v1.placeholder(tf.float32, (3, 5)), tf.compat.v1.placeholder(tf.int32, (2, 1))
            columns_of(matrix, classes)
            return [op.type for op in graph.get_operations() if matrix in op.inputs]

    assert first_operations() == ["GatherV2"]
    with frozen_weights():
        assert first_operations() == ["Transpose"]


def test_columns_are_the_same_in_both_ways() -> None:
    matrix, classes = np.random.default_rng(1).normal(size=(3, 5)), np.array([[4], [0], [-1]])
    want = matrix.T[[4, 0, 0]]
    np.testing.assert_array_equal(columns_of(matrix, classes), want)
    with frozen_weights():
        np.testing.assert_array_equal(columns_of(matrix, classes), want)
