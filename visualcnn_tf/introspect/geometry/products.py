"""Rules of products: an axis of the result shows what the operand shows that it comes from; summed axes are gone."""

from __future__ import annotations

import re
from collections.abc import Sequence

import tensorflow as tf

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.geometry.axes import Axes, Axis
from visualcnn_tf.introspect.geometry.join import broadcast, joined
from visualcnn_tf.introspect.geometry.node import Node, Rule
from visualcnn_tf.introspect.geometry.numbers import NotFollowedError


def _matmul(node: Node) -> Axes:
    names = ("transpose_a", "transpose_b") if node.op.type == "MatMul" else ("adj_x", "adj_y")
    left, right = (_operand(node, index, node.attribute(name)) for index, name in enumerate(names))
    batch = [(axes[:-2], shape[:-2]) for axes, shape in (left, right)]
    leading = broadcast(batch, node.result_shape[:-2], node.name)
    return (*leading, left[0][-2], right[0][-1])


def _operand(node: Node, index: int, is_transposed: bool) -> tuple[Axes, Shape]:
    """Return axes and shape of an operand, rows before columns."""
    shape = node.shape(index)
    axes = node.axes[index] or (Axis(),) * len(shape)
    if is_transposed:
        return (*axes[:-2], axes[-1], axes[-2]), (*shape[:-2], shape[-1], shape[-2])
    return axes, shape


def _einsum(node: Node) -> Axes:
    *operands, result = re.split(",|->", node.attribute("equation").replace(" ", ""))
    ranks = [len(node.shape(index)) for index in range(len(operands))]
    most = max(rank - len(labels.replace("...", "")) for labels, rank in zip(operands, ranks, strict=True))
    labels = [_labels(text, rank, most) for text, rank in zip(operands, ranks, strict=True)]
    outputs = _labels(result, len(node.result_shape), most)
    if any(len(set(names)) < len(names) for names in (*labels, outputs)):
        raise NotFollowedError
    axes: list[Axis] = []
    for name, size in zip(outputs, node.result_shape, strict=True):
        showing = [
            known[names.index(name)]
            for names, known in zip(labels, node.axes, strict=True)
            if known is not None and name in names
        ]
        axes.append(joined(showing, size, node.name))
    return tuple(axes)


def _labels(text: str, rank: int, most: int) -> Sequence[str]:
    """Return one label for each axis; those of an ellipsis, of which there are at most so many, count from the end."""
    if "..." not in text:
        return list(text)
    before, after = text.split("...")
    count = rank - len(before) - len(after)
    return [*before, *(f".{most - count + index}" for index in range(count)), *after]


def summed_axes(op: tf.Operation) -> list[tuple[int, int]]:
    """Return the axes that a product sums over: the index of an operand, and of its axis."""
    if op.type != "Einsum":
        names = ("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y")
        left, right = (bool(op.get_attr(name)) for name in names)
        ranks = [tensor.shape.rank for tensor in op.inputs]
        return [(0, ranks[0] - (2 if left else 1)), (1, ranks[1] - (1 if right else 2))]
    *operands, result = op.get_attr("equation").decode().replace(" ", "").replace("->", ",").split(",")
    # Those of an ellipsis are never summed.
    texts = [(index, text, op.inputs[index].shape.rank) for index, text in enumerate(operands)]
    labels = [(index, _labels(text, rank, rank)) for index, text, rank in texts]
    return [(index, names.index(name)) for index, names in labels for name in names if _is_summed(name, result)]


def _is_summed(label: str, result: str) -> bool:
    return len(label) == 1 and label not in result


RULES: dict[str, Rule] = {
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _matmul),
    "Einsum": _einsum,
}
