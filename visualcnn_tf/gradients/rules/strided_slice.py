"""The gradient of strided slices, ``x[1:, ::2, -1, tf.newaxis]``."""

from __future__ import annotations

from typing import TypeAlias

import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import NotCoveredError, require
from visualcnn_tf.gradients.rules.slicing import pad_axis

#: An entry of a Python index: an integer removes an axis, None (``tf.newaxis``) adds one.
_Entry: TypeAlias = int | slice | None


def _strided_slice(node: Node) -> InputGradients:
    """``dx[index] = dy``, zeros elsewhere."""
    x, index = node.op.inputs[0], _python_index(node)
    slices = [_as_slice(entry) for entry in index if entry is not None]
    for taken, size in zip(slices, x.shape, strict=True):
        # On an axis of unknown size it is not known where a slice starts that counts from the end.
        require(size is not None or (taken.step == 1 and (taken.start or 0) >= 0))
    gradient = _restore_axes(node.gradient, index)
    for axis, taken in enumerate(slices):
        gradient = _put_slice(gradient, x, axis, taken)
    return [gradient, None, None, None]


def _python_index(node: Node) -> list[_Entry]:
    """Return the index of the slice, with one entry for each axis of x and each new axis.

    Bounds that are known at run time only are not covered, unless the masks of the operation make them void.
    """
    bounds = [tf.get_static_value(tensor, partial=True) for tensor in node.op.inputs[1:]]
    require(all(values is not None for values in bounds))
    before: list[_Entry] = []
    after: list[_Entry] = []
    entries = before
    for position, (begin, end, step) in enumerate(zip(*bounds, strict=True)):
        if _is_masked(node, "ellipsis", position):
            entries = after
        else:
            entries.append(_entry(node, position, begin, end, step))
    indexed = sum(entry is not None for entry in [*before, *after])
    whole_axes: list[_Entry] = [slice(None, None, 1)] * (node.op.inputs[0].shape.rank - indexed)
    return [*before, *whole_axes, *after]


def _is_masked(node: Node, name: str, position: int) -> bool:
    return bool(node.attribute(f"{name}_mask") >> position & 1)


def _entry(node: Node, position: int, begin: int | None, end: int | None, step: int | None) -> _Entry:
    """Return one entry of the index from its bounds, None where they are unknown, and the masks of the operation."""
    if _is_masked(node, "new_axis", position):
        return None
    if _is_masked(node, "shrink_axis", position):
        return _known(begin)
    start = None if _is_masked(node, "begin", position) else _known(begin)
    stop = None if _is_masked(node, "end", position) else _known(end)
    return slice(start, stop, _known(step))


def _known(bound: int | None) -> int:
    """Return a bound; one that is known at run time only is not covered."""
    if bound is None:
        raise NotCoveredError
    return int(bound)


def _as_slice(entry: int | slice) -> slice:
    """Return the slice that takes the same values as an integer: ``x[i:i + 1]``, and ``x[-1:]`` for -1."""
    return entry if isinstance(entry, slice) else slice(entry, entry + 1 or None, 1)


def _restore_axes(gradient: tf.Tensor, index: list[_Entry]) -> tf.Tensor:
    """Remove the axes that the index added, and add those that it removed, with size 1."""
    added = [axis for axis, entry in enumerate(e for e in index if not isinstance(e, int)) if entry is None]
    if added:
        gradient = tf.squeeze(gradient, added)
    for axis, entry in enumerate(e for e in index if e is not None):
        if isinstance(entry, int):
            gradient = tf.expand_dims(gradient, axis)
    return gradient


def _put_slice(gradient: tf.Tensor, x: tf.Tensor, axis: int, taken: slice) -> tf.Tensor:
    """Put the gradient of a slice along one axis in its place among zeros."""
    size = x.shape[axis]
    if size is not None:
        return _put(gradient, axis, range(size)[taken], size)
    before = taken.start or 0
    if taken.stop is None:
        return pad_axis(gradient, axis, before, 0)
    if taken.stop < 0:
        return pad_axis(gradient, axis, before, -taken.stop)
    return pad_axis(gradient, axis, before, tf.shape(x)[axis] - before - tf.shape(gradient)[axis])


def _put(gradient: tf.Tensor, axis: int, indices: range, size: int) -> tf.Tensor:
    """Put a gradient at indices of an axis of a known size, zeros elsewhere."""
    if indices.step == 1 or len(indices) < 2:
        first = indices[0] if indices else 0
        return pad_axis(gradient, axis, first, size - first - len(indices))
    # A gather, as TensorFlow Lite can scatter along the first axis only. Zeros are gathered from one appended slice.
    sources = [indices.index(i) if i in indices else len(indices) for i in range(size)]
    return tf.gather(pad_axis(gradient, axis, 0, 1), sources, axis=axis)


RULES: dict[str, Rule] = {"StridedSlice": _strided_slice}
