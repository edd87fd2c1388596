"""Cases of the rules for pooling and resizing, and for picking by indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from support.gradient_cases.check import Case


def with_ties(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """As after a ReLU, in few steps: nearly every window has several maxima."""
    return np.maximum(np.round(rng.normal(size=shape)), 0)


def negative(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Padding with zeros would be the maximum."""
    return -1 - np.abs(rng.normal(size=shape))


def max_pool(shape: tuple[int, ...], kernel: Any, strides: Any, padding: str = "SAME", draw: Any = with_ties) -> Case:
    operation = tf.nn.max_pool1d if len(shape) == 3 else tf.nn.max_pool2d
    return Case(lambda x: operation(x, kernel, strides, padding), [shape], ("MaxPool",), draw=draw)


def pool_3d(kind: str, shape: tuple[int, ...], kernel: Any, strides: Any, padding: str = "SAME") -> Case:
    """Without equal maxima, whose gradient in TensorFlow differs between its CPU libraries."""
    operation = getattr(tf.nn, f"{kind.lower()}_pool3d")
    return Case(lambda x: operation(x, kernel, strides, padding), [shape], (f"{kind}Pool3D",), tflite=False)


def avg_pool(shape: tuple[int, ...], kernel: Any, strides: Any, padding: str = "SAME") -> Case:
    operation = tf.nn.avg_pool1d if len(shape) == 3 else tf.nn.avg_pool2d
    return Case(lambda x: operation(x, kernel, strides, padding), [shape], ("AvgPool",), smooth=True)


def resize(op: str, shape: tuple[int, ...], size: Sequence[int], convention: str, tflite: bool = True) -> Case:
    operation = getattr(tf.raw_ops, op)
    options = {"align_corners": convention == "corners", "half_pixel_centers": convention == "centers"}
    return Case(lambda x: operation(images=x, size=list(size), **options), [shape], (op,), tflite=tflite)


def gather(shape: tuple[int, ...], indices: Any, axis: int) -> Case:
    return Case(lambda x: tf.gather(x, indices, axis=axis), [shape], ("GatherV2",), smooth=True)


BILINEAR, NEAREST = "ResizeBilinear", "ResizeNearestNeighbor"

CASES: dict[str, Case] = {
    "max": max_pool((2, 6, 8, 3), 2, 2),
    "max_odd": max_pool((2, 5, 7, 3), 2, 2),
    "max_odd_valid": max_pool((1, 5, 7, 3), 2, 2, "VALID"),
    "max_overlapping": max_pool((2, 7, 8, 3), 3, 2),
    "max_overlapping_valid": max_pool((1, 8, 7, 3), 3, 2, "VALID"),
    "max_overlapping_stride_one": max_pool((2, 5, 4, 3), 3, 1),
    "max_wide": max_pool((1, 6, 7, 3), 5, 1),
    "max_unequal": max_pool((2, 9, 8, 3), [3, 2], [2, 3]),
    "max_unequal_valid": max_pool((1, 9, 8, 3), [2, 4], [1, 3], "VALID"),
    "max_of_rows": max_pool((1, 6, 5, 3), [3, 1], [2, 1]),
    "max_stride_larger_than_kernel": max_pool((2, 8, 9, 3), 2, 3),
    "max_stride_larger_than_kernel_valid": max_pool((1, 9, 10, 3), [1, 2], [3, 4], "VALID"),
    "max_one_pixel": max_pool((2, 1, 1, 3), 3, 2),
    "max_kernel_larger_than_input": max_pool((2, 2, 3, 3), 5, 1),
    "max_everything": max_pool((2, 4, 5, 3), [4, 5], 1, "VALID"),
    "max_negative": max_pool((2, 5, 6, 3), 3, 2, draw=negative),
    "max_signal": max_pool((2, 9, 3), 3, 2),
    "max_signal_valid": max_pool((1, 8, 3), 2, 2, "VALID"),
    "avg": avg_pool((2, 6, 8, 3), 2, 2),
    "avg_odd": avg_pool((2, 5, 7, 3), 2, 2),
    "avg_odd_valid": avg_pool((1, 5, 7, 3), 2, 2, "VALID"),
    "avg_overlapping": avg_pool((2, 7, 8, 3), 3, 2),
    "avg_overlapping_valid": avg_pool((1, 8, 7, 3), 3, 2, "VALID"),
    "avg_overlapping_stride_one": avg_pool((2, 5, 4, 3), 3, 1),
    "avg_even_kernel_stride_one": avg_pool((1, 6, 7, 3), 4, 1),
    "avg_unequal": avg_pool((2, 9, 8, 3), [3, 2], [2, 3]),
    "avg_unequal_valid": avg_pool((1, 9, 8, 3), [2, 4], [1, 3], "VALID"),
    "avg_of_one": avg_pool((1, 6, 7, 3), 1, 2),
    "avg_stride_larger_than_kernel": avg_pool((2, 8, 9, 3), 2, 3),
    "avg_one_pixel": avg_pool((2, 1, 1, 3), 3, 2),
    "avg_kernel_larger_than_input": avg_pool((2, 2, 3, 3), 5, 1),
    "avg_everything": avg_pool((2, 4, 5, 3), [4, 5], 1, "VALID"),
    "avg_signal": avg_pool((2, 9, 3), 3, 2),
    "avg_signal_valid": avg_pool((1, 8, 3), 2, 2, "VALID"),
    "max_volume": pool_3d("Max", (2, 4, 5, 6, 2), 2, 2),
    "max_volume_overlapping": pool_3d("Max", (1, 5, 6, 4, 2), 3, 2),
    "max_volume_unequal_valid": pool_3d("Max", (1, 5, 6, 7, 2), [2, 3, 1], [1, 2, 3], "VALID"),
    "avg_volume": pool_3d("Avg", (2, 4, 5, 6, 2), 2, 2),
    "avg_volume_overlapping": pool_3d("Avg", (1, 5, 6, 4, 2), 3, 2),
    "avg_volume_unequal_valid": pool_3d("Avg", (1, 5, 6, 7, 2), [2, 3, 1], [1, 2, 3], "VALID"),
    "nearest_repeated": resize(NEAREST, (2, 3, 4, 3), (6, 12), "centers"),
    "nearest_repeated_legacy": resize(NEAREST, (2, 3, 4, 3), (6, 4), "legacy"),
    "nearest_larger": resize(NEAREST, (2, 3, 4, 3), (7, 6), "centers"),
    "nearest_smaller": resize(NEAREST, (2, 7, 6, 3), (3, 4), "centers"),
    "nearest_corners": resize(NEAREST, (2, 3, 4, 3), (7, 6), "corners"),
    "nearest_from_one_pixel": resize(NEAREST, (2, 1, 1, 3), (3, 4), "centers"),
    "bilinear_doubled": resize(BILINEAR, (2, 3, 4, 3), (6, 8), "centers"),
    "bilinear_larger": resize(BILINEAR, (1, 3, 4, 3), (7, 9), "centers"),
    "bilinear_smaller": resize(BILINEAR, (2, 7, 6, 3), (3, 4), "centers"),
    "bilinear_mixed": resize(BILINEAR, (2, 7, 3, 2), (4, 5), "centers"),
    "bilinear_corners": resize(BILINEAR, (2, 3, 4, 3), (7, 6), "corners"),
    "bilinear_corners_to_one_row": resize(BILINEAR, (2, 3, 4, 3), (1, 6), "corners"),
    "bilinear_legacy": resize(BILINEAR, (2, 3, 4, 3), (7, 6), "legacy"),
    "bilinear_one_row": resize(BILINEAR, (8, 1, 8, 7), (8, 6), "centers"),
    "bilinear_from_one_pixel": resize(BILINEAR, (1, 1, 1, 3), (3, 4), "centers"),
    "bilinear_same_size": resize(BILINEAR, (2, 3, 4, 3), (3, 4), "centers"),
    "gather_repeated": gather((2, 5, 3, 2), [4, 0, 0, 2, 4, 4], 1),
    "gather_channels": gather((2, 2, 3, 5), [1, 1, 3], -1),
    "gather_shuffled": gather((2, 2, 3, 4), [2, 0, 3, 1], 3),
    "gather_one": gather((2, 5, 3), 2, 1),
    "gather_a_table": gather((2, 5, 3), [[0, 4, 1], [4, 1, 2]], 1),
}
