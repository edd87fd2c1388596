"""Poolings of windows over images and signals.

Those over volumes are left to TensorFlow: TensorFlow Lite has no such operation, not even forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.backward.node import Node, Rule, value
from visualcnn_tf.backward.rules._windows import Window, padded, spread, windows


def _max_pool(node: Node) -> Any:
    """To the first maximum of each window, as TensorFlow does it.

    Rows first, columns next: the first maximum in reading order is the first of the columns in the first of the rows
    that has it.
    """
    axes = _pool_windows(node)
    if axes is None or node.attribute("padding") == "EXPLICIT":
        return NotImplemented
    rows, columns = axes
    x = value(node.op.inputs[0])
    of_rows = tf.nn.max_pool2d(x, [1, columns.kernel], [1, columns.stride], node.attribute("padding"))
    gradient = _to_first_maximum(node.gradient, of_rows, node.output, rows, 1)
    return [_to_first_maximum(gradient, x, of_rows, columns, 2)]


def _to_first_maximum(gradient: Any, x: Any, maxima: Any, window: Window, axis: int) -> Any:
    """The gradient of maxima along one axis as that of ``x``."""
    if window.kernel == window.stride == 1:
        return gradient
    rest, highest = _lined_up(gradient, axis), _lined_up(maxima, axis)
    zero, parts = tf.zeros([], rest.dtype), []
    for element in _cut(_lined_up(x, axis), window):
        hit = tf.equal(element, highest)
        parts.append(tf.where(hit, rest, zero))
        rest = tf.where(hit, zero, rest)
    return tf.reshape(_put(parts, window), [-1, *x.shape[1:]])


def _avg_pool(node: Node) -> Any:
    axes = _pool_windows(node)
    if axes is None:
        return NotImplemented
    rows, columns = axes
    counts = tf.constant(np.outer(_counts(rows), _counts(columns))[:, :, None], node.gradient.dtype)
    shared = node.gradient / counts
    if rows.kernel > rows.stride or columns.kernel > columns.stride:
        kernel = [rows.kernel, columns.kernel]
        mean = tf.nn.avg_pool2d(padded(*spread(shared, axes)), kernel, 1, "VALID")
        return [mean * float(np.prod(kernel))]
    tall = _put([_lined_up(shared, 1)] * rows.kernel, rows)
    tall = tf.reshape(tall, [-1, columns.places, shared.shape[-1]])
    return [tf.reshape(_put([tall] * columns.kernel, columns), [-1, *node.op.inputs[0].shape[1:]])]


def _counts(window: Window) -> np.ndarray:
    """How many elements at each place are of the input, not of the padding."""
    first = np.arange(window.places) * window.stride - window.before
    return np.minimum(first + window.kernel, window.size) - np.maximum(first, 0)


def _pool_windows(node: Node) -> list[Window] | None:
    kernel = node.attribute("ksize")
    return windows(node.op, kernel[1:3]) if kernel[0] == kernel[-1] == 1 else None


def _lined_up(tensor: Any, axis: int) -> Any:
    """An axis between all axes before it and all after it."""
    return tf.reshape(tensor, [-1, tensor.shape[axis], int(np.prod(tensor.shape[axis + 1 :]))])


def _cut(x: Any, window: Window) -> list[Any]:
    """Each element of the windows at all places ``(N, places, inner)``, of ``(N, size, inner)``.

    A stride becomes an axis, as slices with steps are several times slower.
    """
    steps, inner = _steps(window), x.shape[-1]
    border = [window.before, steps * window.stride - window.before - window.size]
    if any(border):
        x = tf.pad(x, [[0, 0], border, [0, 0]], constant_values=x.dtype.min)
    x = tf.reshape(x, [-1, steps, window.stride * inner])
    starts = [divmod(element, window.stride) for element in range(window.kernel)]
    return [x[:, step : step + window.places, at * inner : (at + 1) * inner] for step, at in starts]


def _put(parts: Sequence[Any], window: Window) -> Any:
    """The sum of elements ``(N, places, inner)``, each put where :func:`_cut` found it: ``(N, size, inner)``."""
    steps, inner = _steps(window), parts[0].shape[-1]
    phases: list[list[Any]] = [[] for _ in range(window.stride)]
    for element, part in enumerate(parts):
        step, at = divmod(element, window.stride)
        phases[at].append(padded(part, [[0, 0], [step, steps - window.places - step], [0, 0]]))
    nothing = tf.zeros_like(phases[0][0]) if window.stride > window.kernel else None
    sums = [tf.add_n(phase) if phase else nothing for phase in phases]
    found = tf.reshape(tf.concat(sums, -1), [-1, steps * window.stride, inner])
    return found[:, window.before : window.before + window.size]


def _steps(window: Window) -> int:
    """Strides that cover the input with its padding."""
    covered = -(-(window.before + window.size) // window.stride)
    return max(covered, window.places + (window.kernel - 1) // window.stride)


RULES: dict[str, Rule] = {"AvgPool": _avg_pool, "MaxPool": _max_pool}
