"""Operations that take a part of a tensor, or add a border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from visualcnn_tf.backward.node import Node, Rule, static


def _pad(node: Node) -> Any:
    paddings = static(node.op.inputs[1])
    if paddings is None:
        return NotImplemented
    ends = zip(paddings.tolist(), node.op.inputs[0].shape, strict=True)
    inner = [slice(before, -after or None if size is None else before + size) for (before, after), size in ends]
    return [node.gradient[tuple(inner)]] + [None] * (len(node.wanted) - 1)


def _mirror_pad(node: Node) -> Any:
    """Axis by axis, each border is turned over and added to what it mirrors."""
    paddings, sizes = static(node.op.inputs[1]), node.op.inputs[0].shape
    if paddings is None or any(size is None and any(ends) for ends, size in zip(paddings, sizes, strict=True)):
        return NotImplemented
    offset = 1 if node.attribute("mode") == "REFLECT" else 0
    gradient = node.gradient
    for axis, ((before, after), size) in enumerate(zip(paddings.tolist(), sizes, strict=True)):
        if before or after:
            left, middle, right = tf.split(gradient, [before, size, after], axis)
            gradient = middle
            if before:
                gradient += _padded(tf.reverse(left, [axis]), axis, offset, size - offset - before)
            if after:
                gradient += _padded(tf.reverse(right, [axis]), axis, size - offset - after, offset)
    return [gradient, None]


def _slice(node: Node) -> list[Any]:
    x, begin, size = node.op.inputs
    starts, lengths = static(begin), tf.get_static_value(size, partial=True)
    paddings = []
    for axis, (before, after) in enumerate(zip(x.shape, node.op.outputs[0].shape, strict=True)):
        start = None if starts is None else int(starts[axis])
        if start is not None and before is not None and after is not None:
            paddings.append([start, before - start - after])
        elif start == 0 and lengths is not None and lengths[axis] == -1:
            paddings.append([0, 0])
        else:  # a length that is known at run time only
            rest = tf.shape(x) - begin - tf.shape(node.gradient)
            return [tf.pad(node.gradient, tf.stack([begin, rest], 1)), None, None]
    return [tf.pad(node.gradient, paddings), None, None]


def _strided_slice(node: Node) -> Any:
    parts = _parts(node)
    if parts is None:
        return NotImplemented
    x, gradient = node.op.inputs[0], node.gradient
    if node.attribute("new_axis_mask") or node.attribute("shrink_axis_mask"):
        sizes = [part.length for part in parts]
        if sizes.count(None) > 1:
            return NotImplemented
        gradient = tf.reshape(gradient, [-1 if size is None else size for size in sizes])
    for axis, (part, size) in enumerate(zip(parts, x.shape, strict=True)):
        if isinstance(part.taken, range):
            gradient = _put(gradient, axis, part.taken, size)
        else:
            before, after = part.taken
            rest = tf.shape(x)[axis] - before - tf.shape(gradient)[axis] if after is None else after
            gradient = _padded(gradient, axis, before, rest)
    return [gradient, None, None, None]


@dataclass(frozen=True)
class _Part:
    """What a slice takes of one axis.

    Attributes:
        taken: the places, or, of an axis of unknown size, how many it leaves out before and after, the latter None
            if that is unknown.
        length: how many it takes, None if that is unknown.
    """

    taken: range | tuple[int, int | None]
    length: int | None


def _parts(node: Node) -> list[_Part] | None:
    """One for each axis of the input; None where they are known at run time only."""
    shape = node.op.inputs[0].shape
    numbers = [tf.get_static_value(tensor, partial=True) for tensor in node.op.inputs[1:]]
    if shape.rank is None or any(found is None for found in numbers):
        return None
    masks = {name: node.attribute(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}
    bits = [{name for name in masks if masks[name] >> i & 1} for i in range(len(numbers[0]))]
    entries: list[Any] = [entry for entry in zip(bits, *numbers, strict=True) if "new_axis" not in entry[0]]
    ellipsis = next((i for i, entry in enumerate(entries) if "ellipsis" in entry[0]), len(entries))
    used = len(entries) - any("ellipsis" in entry[0] for entry in entries)
    entries[ellipsis : ellipsis + 1] = [({"begin", "end"}, 0, 0, 1)] * (shape.rank - used)
    parts = [_part(entry, size) for entry, size in zip(entries, shape, strict=True)]
    return None if None in parts else parts  # type: ignore[return-value]


def _part(entry: Any, size: int | None) -> _Part | None:
    bits, begin, end, step = entry
    if "shrink_axis" in bits:
        bits = bits - {"begin", "end"} | ({"end"} if begin == -1 else set())
        end, step = None if begin is None else begin + 1, 1
    start, stop = None if "begin" in bits else begin, None if "end" in bits else end
    if step is None or (start is None and "begin" not in bits) or (stop is None and "end" not in bits):
        return None
    if size is not None:
        taken = range(size)[start:stop:step]
        return _Part(taken, len(taken))
    if step == 1 and (start is None or start >= 0):
        rest = 0 if stop is None else int(-stop) if stop < 0 else None
        return _Part((int(start or 0), rest), 1 if "shrink_axis" in bits else None)
    return None


def _gather_nd(node: Node) -> list[Any]:
    x, indices = node.op.inputs
    return [tf.scatter_nd(indices, node.gradient, tf.shape(x, indices.dtype)), None]


def _top_k(node: Node) -> Any:
    size = node.op.inputs[0].shape[-1]
    if size is None or node.gradient is None:
        return NotImplemented
    places = tf.one_hot(node.op.outputs[1], size, dtype=node.gradient.dtype)
    return [tf.reduce_sum(node.gradient[..., tf.newaxis] * places, -2), None]


def _put(gradient: Any, axis: int, places: range, size: int) -> Any:
    """The slices of a gradient along an axis at their places among ``size``, zeros elsewhere."""
    if places.step == 1 or len(places) < 2:
        first = places[0] if places else 0
        return _padded(gradient, axis, first, size - first - len(places))
    # Gathered, since TensorFlow Lite can scatter along the first axis only; what is not taken, from a slice of zeros.
    order = [places.index(place) if place in places else len(places) for place in range(size)]
    return tf.gather(_padded(gradient, axis, 0, 1), order, axis=axis)


def _padded(gradient: Any, axis: int, before: int, after: Any) -> Any:
    if isinstance(after, int) and before == after == 0:
        return gradient
    return tf.pad(gradient, [[before, after] if i == axis else [0, 0] for i in range(gradient.shape.rank)])


RULES: dict[str, Rule] = {
    "GatherNd": _gather_nd,
    "MirrorPad": _mirror_pad,
    "Pad": _pad,
    "PadV2": _pad,
    "Slice": _slice,
    "StridedSlice": _strided_slice,
    "TopKV2": _top_k,
}
