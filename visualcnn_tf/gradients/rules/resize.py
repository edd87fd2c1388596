"""Gradients of resizing images, bilinearly or to the nearest neighbor.

Resizing an axis is a product with a matrix of weights ``(new size, size)``, which depends on the sizes alone.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.rules._products import matmul_last_axis
from visualcnn_tf.gradients.tensors import gradient_dtype


def _resize(node: Node) -> InputGradients:
    """``dx = Rᵀ @ dy @ C`` for the weights ``R`` of the rows and ``C`` of the columns."""
    x, y = node.op.inputs[0], node.op.outputs[0]
    require(None not in [*x.shape[1:], *y.shape[1:]])
    weights = [_axis_weights(node, axis) for axis in (1, 2)]
    gradient = tf.cast(node.gradient, gradient_dtype(x.dtype))
    if all(map(_is_repetition, weights)):
        return [_sum_blocks(gradient, [len(matrix) // matrix.shape[1] for matrix in weights]), None]
    rows, columns = (tf.constant(matrix, gradient.dtype) for matrix in weights)
    maps = matmul_last_axis(tf.transpose(gradient, [0, 3, 1, 2]), columns)
    maps = matmul_last_axis(tf.transpose(maps, [0, 1, 3, 2]), rows)
    return [tf.transpose(maps, [0, 3, 2, 1]), None]


def _sum_blocks(gradient: tf.Tensor, block: list[int]) -> tf.Tensor:
    """Sum the gradient over blocks of this height and width, for resizing that only repeats each pixel."""
    return tf.nn.avg_pool2d(gradient, block, block, "VALID") * float(np.prod(block))


def _is_repetition(weights: np.ndarray) -> bool:
    """Return whether each value is only repeated, all equally often."""
    new_size, size = weights.shape
    return new_size % size == 0 and np.array_equal(weights, np.repeat(np.eye(size), new_size // size, axis=0))


def _axis_weights(node: Node, axis: int) -> np.ndarray:
    """Return the weights ``(new size, size)`` of one axis."""
    new_size, size = node.op.outputs[0].shape[axis], node.op.inputs[0].shape[axis]
    weights_of = _nearest if node.op.type == "ResizeNearestNeighbor" else _bilinear
    return weights_of(new_size, size, node.attribute("align_corners"), node.attribute("half_pixel_centers"))


def _nearest(new_size: int, size: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    positions = _positions(new_size, size, align_corners, half_pixel_centers)
    return _one_hot(np.floor(positions + np.float32(0.5)) if align_corners else np.floor(positions), size)


def _bilinear(new_size: int, size: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    positions = _positions(new_size, size, align_corners, half_pixel_centers)
    if half_pixel_centers:
        positions = positions - np.float32(0.5)
    share = (positions - np.floor(positions))[:, None]
    low, high = _one_hot(np.floor(positions), size), _one_hot(np.ceil(positions), size)
    return np.asarray(low * (1 - share) + high * share)


def _one_hot(indices: np.ndarray, size: int) -> np.ndarray:
    """Return the weights that take the value at each index, or the nearest one inside the axis."""
    return np.asarray(np.eye(size)[np.clip(indices, 0, size - 1).astype(int)])


def _positions(new_size: int, size: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    """Return where each new pixel lies on the axis, in float32, as TensorFlow computes it."""
    corners = align_corners and new_size > 1
    scale = np.float32(size - 1) / np.float32(new_size - 1) if corners else np.float32(size) / np.float32(new_size)
    return (np.arange(new_size, dtype=np.float32) + np.float32(0.5 * half_pixel_centers)) * scale


RULES: dict[str, Rule] = {"ResizeBilinear": _resize, "ResizeNearestNeighbor": _resize}
