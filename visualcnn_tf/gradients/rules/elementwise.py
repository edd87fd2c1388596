"""Gradients of elementwise arithmetic, with broadcasting, and of selections and identities."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require
from visualcnn_tf.gradients.rules.patterns import is_silu
from visualcnn_tf.gradients.tensors import gradient_dtype, mask, static_value, unbroadcast

#: Operations whose derivative is zero almost everywhere, or is defined to be.
ZERO_GRADIENT = frozenset(["Ceil", "Floor", "OnesLike", "Rint", "Round", "Sign", "StopGradient", "ZerosLike"])

#: ``dy/dx`` of ``y = f(x)``, computed from ``x`` and ``y``.
Derivative: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
#: The gradient of an operand of ``y = f(a, b)``, broadcast like ``y``, computed from ``dy``, ``a``, ``b`` and ``y``.
OperandGradient: TypeAlias = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def unary(derivative: Derivative) -> Rule:
    """Return the rule of ``y = f(x)``: ``dx = dy · f'(x)``."""
    return lambda node: [node.gradient * derivative(node.inputs[0], node.output)]


def binary(first: OperandGradient, second: OperandGradient) -> Rule:
    """Return the rule of ``y = f(a, b)`` from the gradients of ``a`` and ``b``, and sum over broadcast axes."""

    def rule(node: Node) -> InputGradients:
        values = (node.gradient, *node.inputs, node.output)
        return [
            unbroadcast(gradient_of(*values), operand, node.output, [other]) if needed else None
            for gradient_of, operand, other, needed in zip(
                (first, second), node.inputs, reversed(node.inputs), node.needs_gradient, strict=True
            )
        ]

    return rule


def _identity(node: Node) -> InputGradients:
    """``dx = dy``."""
    return [node.gradient]


def _identity_n(node: Node) -> InputGradients:
    """``dx_i = dy_i``; not where a user has defined another gradient."""
    custom = "_gradient_op_type" in node.op.node_def.attr
    # TensorFlow gives SiLU a gradient of its own to save memory; those that users write may be another function's.
    require(not custom or is_silu(node.op.inputs[0]))
    return list(node.gradients)


def _cast(node: Node) -> InputGradients:
    """``dx = dy``, in the dtype for gradients of x."""
    return [tf.cast(node.gradient, gradient_dtype(node.op.inputs[0].dtype))]


def _add_n(node: Node) -> InputGradients:
    """``dx_i = dy``."""
    return [node.gradient] * len(node.inputs)


def _gradient_of_base(dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """``da = dy · b · a^(b - 1)`` of ``y = a^b``."""
    exponent = static_value(b)
    if exponent is not None and np.all(exponent == 2):
        return 2.0 * dy * a
    return dy * b * tf.pow(a, b - 1.0)


def _gradient_of_exponent(dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """``db = dy · y · log(a)`` of ``y = a^b``, zero where ``a ≤ 0``, as in TensorFlow."""
    return dy * y * tf.math.log(tf.where(a > 0.0, a, tf.ones_like(a)))


def _select(node: Node) -> InputGradients:
    """``da = dy`` where the condition holds, ``db = dy`` elsewhere."""
    condition, *operands = node.inputs
    # A vector as condition of Select selects whole rows.
    require(node.op.type != "Select" or condition.shape == node.output.shape)
    chosen = node.gradient * mask(condition, node.gradient)
    parts = (chosen, node.gradient - chosen)
    pairs = zip(parts, operands, strict=True)
    return [None] + [unbroadcast(part, operand, node.output, node.inputs) for part, operand in pairs]


def _clip(node: Node) -> InputGradients:
    """``dx = dy`` where ``low ≤ x ≤ high``, else 0."""
    x, low, high = node.inputs
    require(not any(node.needs_gradient[1:]))
    inside = tf.logical_and(x >= low, x <= high)
    return [node.gradient * mask(inside, node.gradient), None, None]


_DERIVATIVES: dict[str, Derivative] = {
    "Abs": lambda x, y: tf.sign(x),
    "Cos": lambda x, y: -tf.sin(x),
    "Exp": lambda x, y: y,
    "Expm1": lambda x, y: y + 1.0,
    "Inv": lambda x, y: -y * y,
    "Log": lambda x, y: 1.0 / x,
    "Log1p": lambda x, y: 1.0 / (1.0 + x),
    "Reciprocal": lambda x, y: -y * y,
    "Rsqrt": lambda x, y: -0.5 * y * y * y,
    "Sin": lambda x, y: tf.cos(x),
    "Sqrt": lambda x, y: 0.5 / y,
    "Square": lambda x, y: 2.0 * x,
}
_ADD = binary(lambda dy, a, b, y: dy, lambda dy, a, b, y: dy)
_DIVIDE = binary(lambda dy, a, b, y: dy / b, lambda dy, a, b, y: -dy * y / b)

RULES: dict[str, Rule] = {
    **{name: unary(derivative) for name, derivative in _DERIVATIVES.items()},
    **dict.fromkeys(("CheckNumerics", "EnsureShape", "Identity", "PlaceholderWithDefault"), _identity),
    "Add": _ADD,
    "AddN": _add_n,
    "AddV2": _ADD,
    "Cast": _cast,
    "ClipByValue": _clip,
    "Div": _DIVIDE,
    "DivNoNan": binary(
        lambda dy, a, b, y: tf.math.divide_no_nan(dy, b), lambda dy, a, b, y: tf.math.divide_no_nan(-dy * y, b)
    ),
    "IdentityN": _identity_n,
    "Maximum": binary(lambda dy, a, b, y: dy * mask(a >= b, dy), lambda dy, a, b, y: dy * mask(a < b, dy)),
    "Minimum": binary(lambda dy, a, b, y: dy * mask(a <= b, dy), lambda dy, a, b, y: dy * mask(a > b, dy)),
    "Mul": binary(lambda dy, a, b, y: dy * b, lambda dy, a, b, y: dy * a),
    "Neg": lambda node: [-node.gradient],
    "Pow": binary(_gradient_of_base, _gradient_of_exponent),
    "RealDiv": _DIVIDE,
    "Select": _select,
    "SelectV2": _select,
    "SquaredDifference": binary(lambda dy, a, b, y: 2.0 * dy * (a - b), lambda dy, a, b, y: 2.0 * dy * (b - a)),
    "Sub": binary(lambda dy, a, b, y: dy, lambda dy, a, b, y: -dy),
}
