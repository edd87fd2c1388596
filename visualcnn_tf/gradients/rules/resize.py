"""Resizing of images to the nearest neighbor or bilinearly."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.rules._products import matmul_last_axis
from visualcnn_tf.gradients.tensors import gradient_dtype


def _resize(node: Node) -> Any:
    before, after = (tensor.shape for tensor in (node.op.inputs[0], node.op.outputs[0]))
    if before.rank is None or None in [*before[1:], *after[1:]]:
        return NotImplemented
    planned = _nearest if node.op.type == "ResizeNearestNeighbor" else _bilinear
    options = [node.attribute(name) for name in ("align_corners", "half_pixel_centers")]
    weights = [planned(after[axis], before[axis], *options) for axis in (1, 2)]
    gradient = tf.cast(node.gradient, gradient_dtype(node.op.inputs[0].dtype))
    blocks = [after[axis] // before[axis] for axis in (1, 2)]
    if all(map(_repeats, weights)):
        return [tf.nn.avg_pool2d(gradient, blocks, blocks, "VALID") * float(np.prod(blocks)), None]
    rows, columns = (tf.constant(plan, gradient.dtype) for plan in weights)
    maps = matmul_last_axis(tf.transpose(gradient, [0, 3, 1, 2]), columns)
    maps = matmul_last_axis(tf.transpose(maps, [0, 1, 3, 2]), rows)
    return [tf.transpose(maps, [0, 3, 2, 1]), None]


def _repeats(weights: np.ndarray) -> bool:
    """Whether each value is only repeated, all equally often."""
    size, source = weights.shape
    return size % source == 0 and np.array_equal(weights, np.repeat(np.eye(source), size // source, axis=0))


def _nearest(size: int, source: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    """The weights of ``source`` values for ``size`` values ``(size, source)``, placed in float32 as TensorFlow does."""
    places = _places(size, source, align_corners, half_pixel_centers)
    chosen = np.floor(places + np.float32(0.5)) if align_corners else np.floor(places)
    return _chosen(chosen, source)


def _bilinear(size: int, source: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    places = _places(size, source, align_corners, half_pixel_centers)
    if half_pixel_centers:
        places = places - np.float32(0.5)
    share = (places - np.floor(places))[:, None]
    low, high = _chosen(np.floor(places), source), _chosen(np.ceil(places), source)
    return np.asarray(low * (1 - share) + high * share)


def _chosen(places: np.ndarray, source: int) -> np.ndarray:
    """The weights that take the value at each place, or the last one before the edge."""
    return np.asarray(np.eye(source)[np.clip(places, 0, source - 1).astype(int)])


def _places(size: int, source: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
    corners = align_corners and size > 1
    scale = np.float32(source - 1) / np.float32(size - 1) if corners else np.float32(source) / np.float32(size)
    return (np.arange(size, dtype=np.float32) + np.float32(0.5 * half_pixel_centers)) * scale


RULES: dict[str, Rule] = {"ResizeBilinear": _resize, "ResizeNearestNeighbor": _resize}
