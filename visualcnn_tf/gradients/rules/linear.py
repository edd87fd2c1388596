"""Gradients of matrix products."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.tensors import mask, reshape_like, unbroadcast
from visualcnn_tf.ops.exporting import freezes_weights


def _matmul(node: Node) -> InputGradients:
    """The gradient of MatMul: see :func:`_product_gradients`; a selection of columns where ``dy`` is one-hot."""
    transposed = [node.attribute("transpose_a"), node.attribute("transpose_b")]
    if node.classes is not None and not any(transposed) and not node.needs_gradient[1]:
        return [_one_hot_product(node, node.classes), None]
    return _product_gradients(node, *transposed)


def _one_hot_product(node: Node, classes: tf.Tensor) -> tf.Tensor:
    """``da = dy @ bᵀ`` for a one-hot ``dy``: the columns of ``b`` for the classes, without reading the others."""
    columns = columns_of(node.op.inputs[1], classes)
    return tf.cast(columns, node.gradient.dtype) * mask(classes >= 0, node.gradient)


def columns_of(matrix: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Return the columns ``(B, n)`` of a matrix ``(n, K)`` for classes ``(B, 1)``; the first column for class -1."""
    indices = tf.maximum(tf.squeeze(classes, 1), 0)
    if freezes_weights():
        # TensorFlow Lite already stores the transposed weights for the forward pass: the file holds no second copy.
        return tf.gather(tf.transpose(matrix), indices)
    return tf.transpose(tf.gather(matrix, indices, axis=1))


def _batch_matmul(node: Node) -> InputGradients:
    """The gradient of BatchMatMul: see :func:`_product_gradients`."""
    return _product_gradients(node, node.attribute("adj_x"), node.attribute("adj_y"))


def _product_gradients(node: Node, transpose_a: bool, transpose_b: bool) -> InputGradients:
    """``da = dy @ bᵀ`` and ``db = aᵀ @ dy`` of ``y = a @ b``, where either may be transposed."""
    a, b = node.inputs
    return [
        _gradient_of_first(node.gradient, a, b, transpose_a, transpose_b) if node.needs_gradient[0] else None,
        _gradient_of_second(node.gradient, a, b, transpose_a, transpose_b) if node.needs_gradient[1] else None,
    ]


def _gradient_of_first(dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor, transpose_a: bool, transpose_b: bool) -> tf.Tensor:
    """``da = dy @ bᵀ``; its transpose where ``a`` is transposed."""
    if transpose_a:
        da = tf.matmul(b, dy, transpose_a=transpose_b, transpose_b=True)
    elif b.shape.rank == 2 and dy.shape.rank > 2:
        # With oneDNN, TensorFlow 2.21 writes out of bounds in a product of rank 4 and rank 2 that has a batch axis
        # of size 1 (tensorflow/tensorflow#117700); the flat product is not slower anywhere.
        flat = tf.reshape(dy, [-1, b.shape[0 if transpose_b else 1]])
        return reshape_like(tf.matmul(flat, b, transpose_b=not transpose_b), a)
    else:
        da = tf.matmul(dy, b, transpose_b=not transpose_b)
    return da if da.shape.rank == 2 else unbroadcast(da, a, da)


def _gradient_of_second(dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor, transpose_a: bool, transpose_b: bool) -> tf.Tensor:
    """``db = aᵀ @ dy``; its transpose where ``b`` is transposed."""
    if transpose_b:
        db = tf.matmul(dy, a, transpose_a=True, transpose_b=transpose_a)
    else:
        db = tf.matmul(a, dy, transpose_a=not transpose_a)
    return db if db.shape.rank == 2 else unbroadcast(db, b, db)


def _einsum(node: Node) -> InputGradients:
    """The gradient of Einsum: of ``y = einsum("A,B->Y", a, b)`` it is ``da = einsum("Y,B->A", dy, b)``.

    Covered are one or two operands in which no label is repeated, and each label of an operand also occurs in the
    other operand or in the result.
    """
    operands, result = node.attribute("equation").replace(" ", "").split("->")
    labels = operands.split(",")
    require(len(labels) <= 2)
    require(all(len(set(axes)) == len(axes) for axes in _without_ellipsis(*labels, result)))
    gradients: InputGradients = []
    for index, own in enumerate(labels):
        others = [result, *labels[:index], *labels[index + 1 :]]
        if node.needs_gradient[index]:
            require(set(own) <= set("".join(others)) and not _may_broadcast(own, others))
            values = [node.gradient, *node.inputs[:index], *node.inputs[index + 1 :]]
            gradients.append(tf.einsum(f"{','.join(others)}->{own}", *values))
        else:
            gradients.append(None)
    return gradients


def _without_ellipsis(*labels: str) -> list[str]:
    return [label.replace("...", "") for label in labels]


def _may_broadcast(own: str, others: list[str]) -> bool:
    """Return whether the axes of an ellipsis may have been broadcast."""
    with_ellipsis = [label for label in (own, *others) if "..." in label]
    return bool(with_ellipsis) and (len(with_ellipsis) > 2 or own not in with_ellipsis)


def _bias_add(node: Node) -> InputGradients:
    """``dx = dy``."""
    require(not node.needs_gradient[1])
    return [node.gradient, None]


RULES: dict[str, Rule] = {
    "BatchMatMul": _batch_matmul,
    "BatchMatMulV2": _batch_matmul,
    "BatchMatMulV3": _batch_matmul,
    "BiasAdd": _bias_add,
    "Einsum": _einsum,
    "MatMul": _matmul,
}
