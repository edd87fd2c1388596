"""Arithmetic on single values, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.rules.patterns import is_silu
from visualcnn_tf.gradients.tensors import gradient_dtype, mask, static_value, unbroadcast

#: Operations that are constant almost everywhere, or say that they have no gradient: no walk goes through them.
ZERO_GRADIENT = frozenset(["Ceil", "Floor", "OnesLike", "Rint", "Round", "Sign", "StopGradient", "ZerosLike"])


def unary(derivative: Callable[[Any, Any], Any]) -> Rule:
    """The rule of ``y = f(x)`` from its derivative as a function of x and y."""
    return lambda node: [node.gradient * derivative(node.inputs[0], node.output)]


def binary(first: Callable[..., Any], second: Callable[..., Any]) -> Rule:
    """The rule of ``y = f(a, b)`` from the gradient of each operand, before sums, as a function of g, a, b and y."""

    def rule(node: Node) -> list[Any]:
        values = (node.gradient, *node.inputs, node.output)
        return [
            unbroadcast(of_operand(*values), operand, node.output) if wanted else None
            for of_operand, operand, wanted in zip((first, second), node.inputs, node.needs_gradient, strict=True)
        ]

    return rule


def _unchanged(node: Node) -> list[Any]:
    return [node.gradient]


def _add_n(node: Node) -> list[Any]:
    return [node.gradient] * len(node.inputs)


def _identity_n(node: Node) -> Any:
    custom = "_gradient_op_type" in node.op.node_def.attr
    # TensorFlow gives SiLU a gradient of its own to save memory; those that users write may be another function's.
    return NotImplemented if custom and not is_silu(node.op.inputs[0]) else list(node.gradients)


def _cast(node: Node) -> list[Any]:
    return [tf.cast(node.gradient, gradient_dtype(node.op.inputs[0].dtype))]


def _power_of_base(g: Any, x: Any, y: Any, result: Any) -> Any:
    exponent = static_value(y)
    if exponent is not None and np.all(exponent == 2):
        return 2.0 * g * x
    return g * y * tf.pow(x, y - 1.0)


def _power_of_exponent(g: Any, x: Any, y: Any, result: Any) -> Any:
    # As in TensorFlow, zero where the logarithm is not defined.
    return g * result * tf.math.log(tf.where(x > 0.0, x, tf.ones_like(x)))


def _select(node: Node) -> Any:
    condition, *operands = node.inputs
    if node.op.type == "Select" and condition.shape != node.output.shape:
        return NotImplemented  # a vector there selects whole rows
    chosen = node.gradient * mask(condition, node.gradient)
    parts = (chosen, node.gradient - chosen)
    return [None] + [unbroadcast(part, operand, node.output) for part, operand in zip(parts, operands, strict=True)]


def _clip(node: Node) -> Any:
    x, low, high = node.inputs
    if any(node.needs_gradient[1:]):
        return NotImplemented
    inside = tf.logical_and(x >= low, x <= high)
    return [node.gradient * mask(inside, node.gradient), None, None]


_DERIVATIVES: dict[str, Callable[[Any, Any], Any]] = {
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
_ADD = binary(lambda g, a, b, y: g, lambda g, a, b, y: g)
_DIVIDE = binary(lambda g, a, b, y: g / b, lambda g, a, b, y: -g * y / b)

RULES: dict[str, Rule] = {
    **{name: unary(derivative) for name, derivative in _DERIVATIVES.items()},
    **dict.fromkeys(("CheckNumerics", "EnsureShape", "Identity"), _unchanged),
    "Add": _ADD,
    "AddN": _add_n,
    "AddV2": _ADD,
    "Cast": _cast,
    "ClipByValue": _clip,
    "Div": _DIVIDE,
    "DivNoNan": binary(
        lambda g, a, b, y: tf.math.divide_no_nan(g, b), lambda g, a, b, y: tf.math.divide_no_nan(-g * y, b)
    ),
    "IdentityN": _identity_n,
    "Maximum": binary(lambda g, a, b, y: g * mask(a >= b, g), lambda g, a, b, y: g * mask(a < b, g)),
    "Minimum": binary(lambda g, a, b, y: g * mask(a <= b, g), lambda g, a, b, y: g * mask(a > b, g)),
    "Mul": binary(lambda g, a, b, y: g * b, lambda g, a, b, y: g * a),
    "Neg": lambda node: [-node.gradient],
    "Pow": binary(_power_of_base, _power_of_exponent),
    "RealDiv": _DIVIDE,
    "Select": _select,
    "SelectV2": _select,
    "SquaredDifference": binary(lambda g, a, b, y: 2.0 * g * (a - b), lambda g, a, b, y: 2.0 * g * (b - a)),
    "Sub": binary(lambda g, a, b, y: g, lambda g, a, b, y: -g),
}
