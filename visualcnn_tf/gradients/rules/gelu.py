"""GELU, whose operations must stay alone in the forward graph.

TensorFlow Lite fuses them to its GELU only while nothing else reads the tensors between, and it has no error function
to run them one by one. So the gradient is computed from the input of the whole pattern.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from visualcnn_tf.gradients.node import value
from visualcnn_tf.gradients.rules.patterns import INPUT, input_of

_ROOT_HALF = math.sqrt(0.5)
_TANH_SCALE, _TANH_CUBIC = math.sqrt(2.0 / math.pi), 0.044715

_HALF_INPUT = ("Mul", 0.5, INPUT)
_EXACT = (
    ("Mul", _HALF_INPUT, ("Erfc", ("Mul", ("Neg", INPUT), _ROOT_HALF))),
    # As TensorFlow spelt it before 2.20.
    ("Mul", _HALF_INPUT, ("AddV2", 1.0, ("Erf", ("RealDiv", INPUT, 1.0 / _ROOT_HALF)))),
)
_INNER = ("Mul", _TANH_SCALE, ("AddV2", INPUT, ("Mul", _TANH_CUBIC, ("Pow", INPUT, 3.0))))
_TANH = ("Mul", _HALF_INPUT, ("AddV2", 1.0, ("Tanh", _INNER)))


def gelu_gradient(result: Any, gradient: Any) -> tuple[Any, Any]:
    """The input of the GELU whose result the tensor is, and the gradient there; else (None, None)."""
    for pattern in _EXACT:
        x = input_of(result, pattern)
        if x is not None:
            return x, gradient * _exact_derivative(value(x))
    x = input_of(result, _TANH)
    return (None, None) if x is None else (x, gradient * _tanh_derivative(value(x)))


def _exact_derivative(x: Any) -> Any:
    """``Φ(x) + x φ(x)`` of the normal distribution, within 1e-7: Abramowitz and Stegun, 7.1.26."""
    decay = tf.exp(-0.5 * x * x)
    t = 1.0 / (1.0 + 0.3275911 * _ROOT_HALF * tf.abs(x))
    polynomial = (((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592
    tail = 0.5 * polynomial * t * decay
    return 0.5 + tf.sign(x) * (0.5 - tail) + x * decay / math.sqrt(2.0 * math.pi)


def _tanh_derivative(x: Any) -> Any:
    square = x * x
    tanh = tf.tanh(x * (_TANH_SCALE + _TANH_SCALE * _TANH_CUBIC * square))
    slope = _TANH_SCALE + 3.0 * _TANH_SCALE * _TANH_CUBIC * square
    # Not with 0.5 · x: the converter would share that product with the forward graph, and leave GELU in pieces.
    return 0.5 * (1.0 + tanh + x * slope * (1.0 - tanh * tanh))
