"""Matrix products."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.tensors import mask, reshape_like, unbroadcast
from visualcnn_tf.ops.exporting import freezes_weights


def _matmul(node: Node) -> list[Any]:
    transposed = [node.attribute("transpose_a"), node.attribute("transpose_b")]
    if node.classes is not None and not any(transposed) and not node.needs_gradient[1]:
        return [_of_classes(node, node.classes), None]
    return _product(node, *transposed)


def _of_classes(node: Node, classes: tf.Tensor) -> tf.Tensor:
    """A product with a one-hot matrix: columns, without reading all others."""
    columns = columns_of(node.op.inputs[1], classes)
    return tf.cast(columns, node.gradient.dtype) * mask(classes >= 0, node.gradient)


def columns_of(matrix: Any, classes: Any) -> Any:
    """Columns ``(B, n)`` of a matrix ``(n, K)`` for classes ``(B, 1)``; the first one for -1."""
    numbers = tf.maximum(tf.squeeze(classes, 1), 0)
    if freezes_weights():
        # The transposed constant is that of TensorFlow Lite's forward product: the file holds no second copy.
        return tf.gather(tf.transpose(matrix), numbers)
    return tf.transpose(tf.gather(matrix, numbers, axis=1))


def _batch_matmul(node: Node) -> list[Any]:
    return _product(node, node.attribute("adj_x"), node.attribute("adj_y"))


def _product(node: Node, transpose_a: bool, transpose_b: bool) -> list[Any]:
    a, b = node.inputs
    return [
        _of_first(node.gradient, a, b, transpose_a, transpose_b) if node.needs_gradient[0] else None,
        _of_second(node.gradient, a, b, transpose_a, transpose_b) if node.needs_gradient[1] else None,
    ]


def _of_first(g: Any, a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    if transpose_a:
        found = tf.matmul(b, g, transpose_a=transpose_b, transpose_b=True)
    elif b.shape.rank == 2 and g.shape.rank > 2:
        # With oneDNN, TensorFlow 2.21 writes out of bounds in a product of rank 4 and rank 2 that has a batch axis
        # of size 1 (tensorflow/tensorflow#117700); the flat product is not slower anywhere.
        flat = tf.reshape(g, [-1, b.shape[0 if transpose_b else 1]])
        return reshape_like(tf.matmul(flat, b, transpose_b=not transpose_b), a)
    else:
        found = tf.matmul(g, b, transpose_b=not transpose_b)
    return found if found.shape.rank == 2 else unbroadcast(found, a, found)


def _of_second(g: Any, a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> Any:
    if transpose_b:
        found = tf.matmul(g, a, transpose_a=True, transpose_b=transpose_a)
    else:
        found = tf.matmul(a, g, transpose_a=not transpose_a)
    return found if found.shape.rank == 2 else unbroadcast(found, b, found)


def _einsum(node: Node) -> Any:
    """Products of two in which each label of an operand occurs in the other or in the result, and permutations."""
    operands, result = node.attribute("equation").replace(" ", "").split("->")
    labels = operands.split(",")
    if len(labels) > 2 or any(len(set(letters)) != len(letters) for letters in _letters(*labels, result)):
        return NotImplemented
    found: list[Any] = []
    for place, own in enumerate(labels):
        others = [result, *labels[:place], *labels[place + 1 :]]
        if not node.needs_gradient[place]:
            found.append(None)
        elif set(own) - set("".join(others)) or _broadcasts(own, others):
            return NotImplemented
        else:
            values = [node.gradient, *node.inputs[:place], *node.inputs[place + 1 :]]
            found.append(tf.einsum(f"{','.join(others)}->{own}", *values))
    return found


def _letters(*labels: str) -> list[str]:
    return [label.replace("...", "") for label in labels]


def _broadcasts(own: str, others: list[str]) -> bool:
    """Whether the axes behind an ellipsis may have been broadcast."""
    with_ellipsis = [label for label in (own, *others) if "..." in label]
    return bool(with_ellipsis) and (len(with_ellipsis) > 2 or own not in with_ellipsis)


def _bias_add(node: Node) -> Any:
    return NotImplemented if node.needs_gradient[1] else [node.gradient, None]


def _cumsum(node: Node) -> list[Any]:
    exclusive, reverse = node.attribute("exclusive"), node.attribute("reverse")
    return [tf.cumsum(node.gradient, node.op.inputs[1], exclusive, not reverse), None]


RULES: dict[str, Rule] = {
    "BatchMatMul": _batch_matmul,
    "BatchMatMulV2": _batch_matmul,
    "BatchMatMulV3": _batch_matmul,
    "BiasAdd": _bias_add,
    "Cumsum": _cumsum,
    "Einsum": _einsum,
    "MatMul": _matmul,
}
