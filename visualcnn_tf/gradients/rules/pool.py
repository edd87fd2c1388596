"""Poolings of windows over images and signals.

Those over volumes are left to TensorFlow: TensorFlow Lite has no such operation, not even forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.rules._windows import Window, padded, spread, windows
from visualcnn_tf.gradients.tensors import mask, to_gradient_dtype


def _max_pool(node: Node) -> Any:
    """To the first maximum of each window, as TensorFlow does it.

    Rows first, columns next: the first maximum in reading order is the first of the columns in the first of the rows
    that has it.
    """
    axes = _pool_windows(node)
    if axes is None or node.attribute("padding") == "EXPLICIT":
        return NotImplemented
    rows, columns = axes
    x = to_gradient_dtype(node.op.inputs[0])
    of_rows = tf.nn.max_pool2d(x, [1, columns.kernel], [1, columns.stride], node.attribute("padding"))
    gradient = _to_first_maximum(node.gradient, of_rows, node.output, rows, 1)
    return [_to_first_maximum(gradient, x, of_rows, columns, 2)]


def _to_first_maximum(gradient: Any, x: Any, maxima: Any, window: Window, axis: int) -> Any:
    """The gradient of maxima along one axis as that of ``x``."""
    if window.kernel == window.stride == 1:
        return gradient
    rest, highest = _lined_up(gradient, axis), _lined_up(maxima, axis)
    parts = []
    for element in _cut(_lined_up(x, axis), window):
        # Products and differences, not a choice between tensors: TensorFlow does these in place.
        parts.append(rest * mask(tf.equal(element, highest), rest))
        rest = rest - parts[-1]
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
    tall = _put([_lined_up(shared, 1)] * len(_elements(rows)), rows)
    tall = tf.reshape(tall, [-1, columns.places, shared.shape[-1]])
    wide = _put([tall] * len(_elements(columns)), columns)
    return [tf.reshape(wide, [-1, *node.op.inputs[0].shape[1:]])]


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


@dataclass(frozen=True)
class _Element:
    """Where one element of the windows stands, its stride an axis of its own: slices with steps are much slower.

    Attributes:
        at: which of the elements between two strides it is.
        first, last: the strides that it reads, in the input.
        before, after: the places at which it reads the padding.
    """

    at: int
    first: int
    last: int
    before: int
    after: int


def _elements(window: Window) -> list[_Element]:
    """Of each element of the windows that reads the input anywhere."""
    found, strides = [], _strides(window)
    for element in range(window.kernel):
        start, at = divmod(element - window.before, window.stride)
        first, last = max(start, 0), min(start + window.places, strides)
        if first < last:
            found.append(_Element(at, first, last, first - start, start + window.places - last))
    return found


def _cut(x: Any, window: Window) -> list[Any]:
    """Each element of the windows at all places ``(N, places, inner)``, of ``(N, size, inner)``."""
    strides, inner, lowest = _strides(window), x.shape[-1], x.dtype.min
    x = padded(x, [[0, 0], [0, strides * window.stride - window.size], [0, 0]], lowest)
    x = tf.reshape(x, [-1, strides, window.stride * inner])
    return [
        padded(x[:, e.first : e.last, e.at * inner : (e.at + 1) * inner], [[0, 0], [e.before, e.after], [0, 0]], lowest)
        for e in _elements(window)
    ]


def _put(parts: Sequence[Any], window: Window) -> Any:
    """The sum of elements ``(N, places, inner)``, each put where :func:`_cut` found it: ``(N, size, inner)``."""
    strides, inner = _strides(window), parts[0].shape[-1]
    sums: list[Any] = [None] * window.stride
    for e, part in zip(_elements(window), parts, strict=True):
        inside = part[:, e.before : window.places - e.after]
        whole = padded(inside, [[0, 0], [e.first, strides - e.last], [0, 0]])
        sums[e.at] = whole if sums[e.at] is None else sums[e.at] + whole
    nothing = tf.zeros_like(next(known for known in sums if known is not None)) if None in sums else None
    apart = tf.concat([nothing if known is None else known for known in sums], -1)
    return tf.reshape(apart, [-1, strides * window.stride, inner])[:, : window.size]


def _strides(window: Window) -> int:
    """That cover the input."""
    return -(-window.size // window.stride)


RULES: dict[str, Rule] = {"AvgPool": _avg_pool, "MaxPool": _max_pool}
