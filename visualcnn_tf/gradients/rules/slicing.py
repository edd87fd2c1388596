"""Operations that take a part of a tensor, or add a border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.tensors import static_value


def _pad(node: Node) -> Any:
    paddings = static_value(node.op.inputs[1])
    if paddings is None:
        return NotImplemented
    ends = zip(paddings.tolist(), node.op.inputs[0].shape, strict=True)
    inner = [slice(before, -after or None if size is None else before + size) for (before, after), size in ends]
    return [node.gradient[tuple(inner)]] + [None] * (len(node.needs_gradient) - 1)


def _mirror_pad(node: Node) -> Any:
    """Axis by axis, each border is turned over and added to what it mirrors."""
    paddings, sizes = static_value(node.op.inputs[1]), node.op.inputs[0].shape
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
    starts, lengths = static_value(begin), tf.get_static_value(size, partial=True)
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
    x, entries, gradient = node.op.inputs[0], _entries(node), node.gradient
    if entries is None:
        return NotImplemented
    of_result = [entry for entry in entries if entry.kind != "shrink_axis"]
    of_input = [entry for entry in entries if entry.kind != "new_axis"]
    added = [axis for axis, entry in enumerate(of_result) if entry.kind == "new_axis"]
    gradient = tf.squeeze(gradient, added) if added else gradient
    for axis, entry in enumerate(of_input):
        gradient = tf.expand_dims(gradient, axis) if entry.kind == "shrink_axis" else gradient
    for axis, (entry, size) in enumerate(zip(of_input, x.shape, strict=True)):
        part = _part(entry, size)
        if part is None:
            return NotImplemented
        if isinstance(part, range):
            gradient = _put(gradient, axis, part, size)
        else:
            before, after = part
            rest = tf.shape(x)[axis] - before - tf.shape(gradient)[axis] if after is None else after
            gradient = _padded(gradient, axis, before, rest)
    return [gradient, None, None, None]


@dataclass(frozen=True)
class _Entry:
    """What a slice says of one axis: the numbers are None where they are known at run time only.

    Attributes:
        kind: whether it adds an axis of size 1 ("new_axis"), takes one place and drops the axis ("shrink_axis"),
            or takes a range ("range").
        open: which ends of the range are left out, of "begin" and "end".
    """

    kind: str
    open: frozenset[str]
    begin: int | None
    end: int | None
    step: int | None


def _entries(node: Node) -> list[_Entry] | None:
    """One for each axis of the input and each new one; None where nothing is known before run time."""
    numbers: list[Any] = [tf.get_static_value(tensor, partial=True) for tensor in node.op.inputs[1:]]
    if any(found is None for found in numbers):
        return None

    def marked(mask: str, i: int) -> bool:
        return bool(node.attribute(f"{mask}_mask") >> i & 1)

    entries: list[_Entry] = []
    ellipsis, count = None, len(numbers[0])
    for i, (begin, end, step) in enumerate(zip(*numbers, strict=True)):
        if marked("ellipsis", i):
            ellipsis = i
            continue
        kind = next((kind for kind in ("new_axis", "shrink_axis") if marked(kind, i)), "range")
        left_out = frozenset(side for side in ("begin", "end") if marked(side, i))
        entries.append(_Entry(kind, left_out, begin, end, step))
    used = sum(entry.kind != "new_axis" for entry in entries)
    whole = [_Entry("range", frozenset(["begin", "end"]), 0, 0, 1)] * (node.op.inputs[0].shape.rank - used)
    place = count if ellipsis is None else ellipsis
    return entries[:place] + whole + entries[place:]


def _part(entry: _Entry, size: int | None) -> range | tuple[int, int | None] | None:
    """The places that are taken; of an axis of unknown size how many are left out before and, if known, after."""
    begin, end, step, left_out = entry.begin, entry.end, entry.step, entry.open
    if entry.kind == "shrink_axis":
        end, step, left_out = None if begin is None else begin + 1, 1, frozenset({"end"} if begin == -1 else ())
    if step is None or (begin is None and "begin" not in left_out) or (end is None and "end" not in left_out):
        return None
    start, stop = None if "begin" in left_out else begin, None if "end" in left_out else end
    if size is not None:
        return range(size)[start:stop:step]
    if step != 1 or (start or 0) < 0:
        return None
    return int(start or 0), 0 if stop is None else int(-stop) if stop < 0 else None


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
