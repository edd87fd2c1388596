"""Operations that select or arrange values: which element of an input each element of the output is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize
from visualcnn_tf.gradients.tensors import PASS_THROUGH, static_value
from visualcnn_tf.targets.logits import CLIPPING, REARRANGING

_CLASSES_OF_SUPPRESSION = 2  # after the boxes and their scores
_SAME_ORDER = ("ExpandDims", "Reshape", "Squeeze")
#: Operations that move values, and how to apply them to others.
ARRANGING: dict[str, Callable[[tf.Operation, tf.Tensor], tf.Tensor]] = {
    "BroadcastTo": lambda op, x: tf.broadcast_to(x, op.inputs[1]),
    "GatherNd": lambda op, x: tf.gather_nd(x, op.inputs[1]),
    **{name: REARRANGING[name] for name in ("GatherV2", "Slice", "StridedSlice", "Transpose")},
}


#: Positions ``(B, n)`` int32 that become operations of the graph once they are asked for.
Index: TypeAlias = Callable[[], tf.Tensor]


class NotSelectingError(Exception):
    """The values of an operation are no values of one of its inputs."""


@dataclass(frozen=True, eq=False)
class Selected:
    """Elements of a tensor.

    Attributes:
        tensor: the tensor.
        index: which elements: positions in the whole tensor, flat.
        is_here: whether each of them is an element of this tensor, ``(B, n)`` bool, and not of another one that it is
            concatenated with; None where all are.
    """

    tensor: tf.Tensor
    index: Index
    is_here: Index | None = None


#: From one output of an operation, and elements of it, to the elements of the inputs that they are.
Rule: TypeAlias = Callable[[tf.Tensor, Index], list[Selected]]


def selected(tensor: tf.Tensor, index: Index) -> list[Selected]:
    """Return which elements of the inputs of a tensor's operation some of its elements are.

    Raises:
        NotSelectingError: for an operation that computes new values.
    """
    rule = RULES.get(tensor.op.type)
    if rule is None:
        raise NotSelectingError
    return rule(tensor, index)


def sizes(tensor: tf.Tensor) -> list[AxisSize]:
    """Return the size of each axis, a tensor where it is not known."""
    return [tf.shape(tensor)[axis] if size is None else size for axis, size in enumerate(tensor.shape)]


def is_from_whole_numbers(tensor: tf.Tensor) -> bool:
    """Return whether the values are integers or truth values, such as numbers of classes, whatever their type."""
    while tensor.dtype.is_floating:
        if tensor.op.type == "CombinedNonMaxSuppression":
            return bool(tensor.value_index == _CLASSES_OF_SUPPRESSION)
        if tensor.op.type not in (*PASS_THROUGH, *_SAME_ORDER, *ARRANGING):
            return False
        tensor = tensor.op.inputs[0]
    return True


def _same(tensor: tf.Tensor, index: Index) -> list[Selected]:
    return [Selected(tensor.op.inputs[0], index)]


def _clipped(tensor: tf.Tensor, index: Index) -> list[Selected]:
    """Follow the one input that is no constant bound."""
    variable = [x for x in tensor.op.inputs if static_value(x) is None]
    return [Selected(_only(variable, tensor), index)]


def _arranged(tensor: tf.Tensor, index: Index) -> list[Selected]:
    """Apply the operation to the positions of the elements in place of their values."""
    op, x = tensor.op, tensor.op.inputs[0]
    if op.type == "Transpose" and not _keeps_batch(op):
        raise NotSelectingError

    def before() -> tf.Tensor:
        positions = tf.reshape(tf.range(tf.size(x)), tf.shape(x))
        return _elements(ARRANGING[op.type](op, positions), index())

    return [Selected(x, cache(before))]


def _keeps_batch(op: tf.Operation) -> bool:
    """Return whether a transposition leaves the first axis where it is."""
    order = static_value(op.inputs[1])
    return order is not None and order[0] == 0


def _top_k(tensor: tf.Tensor, index: Index) -> list[Selected]:
    x, chosen = tensor.op.inputs[0], tensor.op.outputs[1]

    def before() -> tf.Tensor:
        return index() // sizes(tensor)[-1] * sizes(x)[-1] + _elements(chosen, index())

    return [Selected(x, cache(before))]


def _largest(tensor: tf.Tensor, index: Index) -> list[Selected]:
    """Follow the largest value along one axis."""
    x, axes = tensor.op.inputs[0], static_value(tensor.op.inputs[1])
    if axes is None or axes.size != 1 or x.shape.rank is None:
        raise NotSelectingError
    axis = int(axes.item()) % x.shape.rank

    def before() -> tf.Tensor:
        inner = math.prod(sizes(x)[axis + 1 :])
        chosen = _elements(tf.argmax(x, axis, output_type=tf.int32), index())
        return (index() // inner * sizes(x)[axis] + chosen) * inner + index() % inner

    return [Selected(x, cache(before))]


def _product(tensor: tf.Tensor, index: Index) -> list[Selected]:
    """Follow what is multiplied with a mask, or the scores of classes that are multiplied with one score of a box."""
    factors = [x for x in tensor.op.inputs if not is_from_whole_numbers(x)]
    return [Selected(_only([x for x in factors if _has_shape(x, tensor)], tensor), index)]


def _masked(tensor: tf.Tensor, index: Index) -> list[Selected]:
    """Follow what a constant replaces where a condition does not hold."""
    values = [x for x in tensor.op.inputs[1:] if static_value(x) is None and x.op.type not in ("Fill", "ZerosLike")]
    return [Selected(_only(values, tensor), index)]


def _concatenated(tensor: tf.Tensor, index: Index) -> list[Selected]:
    *inputs, axis_tensor = tensor.op.inputs
    axis = static_value(axis_tensor)
    if axis is None:
        raise NotSelectingError
    return _side_by_side(tensor, index, inputs, int(axis), [sizes(x)[int(axis)] for x in inputs])


def _stacked(tensor: tf.Tensor, index: Index) -> list[Selected]:
    inputs = list(tensor.op.inputs)
    return _side_by_side(tensor, index, inputs, tensor.op.get_attr("axis"), [1] * len(inputs))


def _side_by_side(
    tensor: tf.Tensor, index: Index, inputs: list[tf.Tensor], axis: int, lengths: list[AxisSize]
) -> list[Selected]:
    """Follow each of several inputs, which lie side by side along an axis."""
    axis %= tensor.shape.rank

    @cache
    def where() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        inner, total = math.prod(sizes(tensor)[axis + 1 :]), sizes(tensor)[axis]
        return index() // (inner * total), index() // inner % total, index() % inner

    def one(x: tf.Tensor, start: AxisSize, length: AxisSize) -> Selected:
        def is_here() -> tf.Tensor:
            return tf.logical_and(where()[1] >= start, where()[1] < start + length)

        def before() -> tf.Tensor:
            outer, along, within = where()
            # Elements of other inputs stand at the border: every index must exist.
            inside = tf.clip_by_value(along - start, 0, length - 1)
            return (outer * length + inside) * math.prod(sizes(tensor)[axis + 1 :]) + within

        return Selected(x, cache(before), cache(is_here))

    starts = [sum(lengths[:number]) for number in range(len(lengths))]
    return [one(*each) for each in zip(inputs, starts, lengths, strict=True)]


def _part(tensor: tf.Tensor, index: Index) -> list[Selected]:
    """Follow one of the parts that an input is split into along an axis."""
    op = tensor.op
    x = op.inputs[1] if op.type == "Split" else op.inputs[0]
    axis = static_value(op.inputs[0] if op.type == "Split" else op.inputs[-1])
    if axis is None or x.shape.rank is None:
        raise NotSelectingError
    along = int(axis) % x.shape.rank
    lengths = [sizes(part)[along] for part in op.outputs]
    return [_slice_of(x, along, sum(lengths[: tensor.value_index]), lengths[tensor.value_index], index)]


def _unstacked(tensor: tf.Tensor, index: Index) -> list[Selected]:
    x = tensor.op.inputs[0]
    return [_slice_of(x, tensor.op.get_attr("axis") % x.shape.rank, tensor.value_index, 1, index)]


def _slice_of(x: tf.Tensor, axis: int, start: AxisSize, length: AxisSize, index: Index) -> Selected:
    """Return the elements of a tensor of which others are a slice along an axis."""

    def before() -> tf.Tensor:
        inner = math.prod(sizes(x)[axis + 1 :])
        outer, along = index() // (inner * length), index() // inner % length
        return (outer * sizes(x)[axis] + start + along) * inner + index() % inner

    return Selected(x, cache(before))


def _elements(tensor: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    return tf.gather(tf.reshape(tensor, [-1]), index)


def _only(tensors: list[tf.Tensor], output: tf.Tensor) -> tf.Tensor:
    """Return the only tensor, of the shape of the output."""
    if len(tensors) != 1 or not _has_shape(tensors[0], output):
        raise NotSelectingError
    return tensors[0]


def _has_shape(tensor: tf.Tensor, output: tf.Tensor) -> bool:
    """Return whether a tensor has the shape of the output, and so is not broadcast to it."""
    return tensor.shape.rank is not None and tensor.shape.as_list() == output.shape.as_list()


RULES: dict[str, Rule] = {
    **dict.fromkeys((*PASS_THROUGH, *_SAME_ORDER), _same),
    **dict.fromkeys(CLIPPING, _clipped),
    **dict.fromkeys(ARRANGING, _arranged),
    **dict.fromkeys(("Select", "SelectV2"), _masked),
    **dict.fromkeys(("Split", "SplitV"), _part),
    "ConcatV2": _concatenated,
    "Max": _largest,
    "Mul": _product,
    "Pack": _stacked,
    "TopKV2": _top_k,
    "Unpack": _unstacked,
}
