"""Gradients of max pooling and average pooling over images and signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.rules._windows import Window, insert_zeros, pad, windows
from visualcnn_tf.gradients.tensors import mask, to_gradient_dtype


def _max_pool(node: Node) -> InputGradients:
    """The gradient of MaxPool: ``dy`` of each window goes to its first maximum, as in TensorFlow.

    The pooling is split into one along the columns and one along the rows. The first maximum of a window in reading
    order is then the first maximum within the first row that holds the maximum.
    """
    require(node.attribute("padding") != "EXPLICIT")
    rows, columns = _pool_windows(node)
    x = to_gradient_dtype(node.op.inputs[0])
    row_maxima = tf.nn.max_pool2d(x, [1, columns.kernel], [1, columns.stride], node.attribute("padding"))
    gradient = _to_first_maximum(node.gradient, row_maxima, node.output, rows, 1)
    return [_to_first_maximum(gradient, x, row_maxima, columns, 2)]


def _to_first_maximum(gradient: tf.Tensor, x: tf.Tensor, maxima: tf.Tensor, window: Window, axis: int) -> tf.Tensor:
    """Turn the gradient of the maxima of ``x`` along one axis into that of ``x``."""
    if window.kernel == window.stride == 1:
        return gradient
    rest, maxima = _to_rank_3(gradient, axis), _to_rank_3(maxima, axis)
    parts = []
    for element in _elements_of(_to_rank_3(x, axis), window):
        # Products and differences instead of tf.where: TensorFlow computes them in place.
        parts.append(rest * mask(tf.equal(element, maxima), rest))
        rest = rest - parts[-1]
    return tf.reshape(_sum_elements(parts, window), [-1, *x.shape[1:]])


def _avg_pool(node: Node) -> InputGradients:
    """The gradient of AvgPool: ``dx = Σ dy / n`` over the windows that read x, with ``n`` values of x in a window."""
    rows, columns = _pool_windows(node)
    counts = tf.constant(np.outer(_counts(rows), _counts(columns))[:, :, None], node.gradient.dtype)
    shares = node.gradient / counts
    if rows.kernel > rows.stride or columns.kernel > columns.stride:
        return [_sum_overlapping(shares, rows, columns)]
    tall = _sum_elements([_to_rank_3(shares, 1)] * len(_elements(rows)), rows)
    tall = tf.reshape(tall, [-1, columns.positions, shares.shape[-1]])
    wide = _sum_elements([tall] * len(_elements(columns)), columns)
    return [tf.reshape(wide, [-1, *node.op.inputs[0].shape[1:]])]


def _sum_overlapping(shares: tf.Tensor, rows: Window, columns: Window) -> tf.Tensor:
    """Sum what each input value gets from the windows that read it, by an average pooling of stride 1."""
    kernel = [rows.kernel, columns.kernel]
    mean = tf.nn.avg_pool2d(pad(*insert_zeros(shares, [rows, columns])), kernel, 1, "VALID")
    return mean * float(np.prod(kernel))


def _counts(window: Window) -> np.ndarray:
    """Count the elements that belong to the input, not to the padding, at each position of a window."""
    first = np.arange(window.positions) * window.stride - window.before
    return np.minimum(first + window.kernel, window.size) - np.maximum(first, 0)


def _pool_windows(node: Node) -> list[Window]:
    """Return the windows over rows and columns; pooling over the batch or channels is not covered."""
    kernel = node.attribute("ksize")
    require(kernel[0] == kernel[-1] == 1)
    return windows(node.op, kernel[1:3])


def _to_rank_3(tensor: tf.Tensor, axis: int) -> tf.Tensor:
    """Merge the axes before an axis, and those after it: ``(N, size, inner)``."""
    return tf.reshape(tensor, [-1, tensor.shape[axis], int(np.prod(tensor.shape[axis + 1 :]))])


@dataclass(frozen=True)
class _Element:
    """Where one element of a window reads the input, at all positions of the window.

    The input is seen as ``(strides, stride)``, so that the element reads a slice of step 1: steps are much slower.

    Attributes:
        offset: index on the axis of size ``stride``.
        first: index on the axis of strides at the first position that reads the input, not the padding.
        last: the same, after the last such position.
        before: number of positions that read the padding before the input.
        after: number of positions that read the padding after it.
    """

    offset: int
    first: int
    last: int
    before: int
    after: int


def _elements(window: Window) -> list[_Element]:
    """Return the elements of a window that read the input at one position at least."""
    found, strides = [], _num_strides(window)
    for element in range(window.kernel):
        start, offset = divmod(element - window.before, window.stride)
        first, last = max(start, 0), min(start + window.positions, strides)
        if first < last:
            found.append(_Element(offset, first, last, first - start, start + window.positions - last))
    return found


def _elements_of(x: tf.Tensor, window: Window) -> list[tf.Tensor]:
    """Return the values of ``x (N, size, inner)`` that each element of a window reads, ``(N, positions, inner)``."""
    strides, inner, lowest = _num_strides(window), x.shape[-1], x.dtype.min
    x = pad(x, [[0, 0], [0, strides * window.stride - window.size], [0, 0]], lowest)
    x = tf.reshape(x, [-1, strides, window.stride * inner])
    return [
        pad(
            x[:, e.first : e.last, e.offset * inner : (e.offset + 1) * inner],
            [[0, 0], [e.before, e.after], [0, 0]],
            lowest,
        )
        for e in _elements(window)
    ]


def _sum_elements(parts: Sequence[tf.Tensor], window: Window) -> tf.Tensor:
    """Sum the gradients of the elements of a window, each ``(N, positions, inner)``, where they read the input.

    Returns:
        ``(N, size, inner)``: the transpose of :func:`_elements_of`.
    """
    strides, inner = _num_strides(window), parts[0].shape[-1]
    sums: list[tf.Tensor | None] = [None] * window.stride
    for e, part in zip(_elements(window), parts, strict=True):
        inside = part[:, e.before : window.positions - e.after]
        whole = pad(inside, [[0, 0], [e.first, strides - e.last], [0, 0]])
        known = sums[e.offset]
        sums[e.offset] = whole if known is None else known + whole
    zeros = tf.zeros_like(next(known for known in sums if known is not None)) if None in sums else None
    by_offset = tf.concat([zeros if known is None else known for known in sums], -1)
    return tf.reshape(by_offset, [-1, strides * window.stride, inner])[:, : window.size]


def _num_strides(window: Window) -> int:
    """Return the number of strides that cover the input."""
    return -(-window.size // window.stride)


RULES: dict[str, Rule] = {"AvgPool": _avg_pool, "MaxPool": _max_pool}
