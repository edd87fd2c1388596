"""The gradient of GELU, which TensorFlow computes in several operations.

TensorFlow Lite fuses them to its own GELU only while nothing else reads the tensors between them, and it has no error
function to run them one by one. So the gradient is computed from the input of the whole function.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from visualcnn_tf.gradients.rules.patterns import INPUT, Pattern, match_input
from visualcnn_tf.gradients.tensors import to_gradient_dtype

_ROOT_HALF = math.sqrt(0.5)
_TANH_SCALE, _TANH_CUBIC = math.sqrt(2.0 / math.pi), 0.044715

_HALF_INPUT = ("Mul", 0.5, INPUT)
_EXACT = ("Mul", _HALF_INPUT, ("Erfc", ("Mul", ("Neg", INPUT), _ROOT_HALF)))
_EXACT_BEFORE_TENSORFLOW_2_20 = ("Mul", _HALF_INPUT, ("AddV2", 1.0, ("Erf", ("RealDiv", INPUT, 1.0 / _ROOT_HALF))))
_INNER = ("Mul", _TANH_SCALE, ("AddV2", INPUT, ("Mul", _TANH_CUBIC, ("Pow", INPUT, 3.0))))
_TANH = ("Mul", _HALF_INPUT, ("AddV2", 1.0, ("Tanh", _INNER)))


def gelu_gradient(result: tf.Tensor, gradient: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor] | None:
    """Return the input ``x`` of the GELU that computes ``result``, and ``dx = dy·GELU'(x)``; None for other results."""
    for pattern, derivative in _DERIVATIVES.items():
        x = match_input(result, pattern)
        if x is not None:
            return x, gradient * derivative(to_gradient_dtype(x))
    return None


def _exact_derivative(x: tf.Tensor) -> tf.Tensor:
    """``GELU'(x) = Φ(x) + x·φ(x)`` of the normal distribution, within 1e-7: Abramowitz and Stegun, 7.1.26."""
    decay = tf.exp(-0.5 * x * x)
    t = 1.0 / (1.0 + 0.3275911 * _ROOT_HALF * tf.abs(x))
    polynomial = (((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592
    tail = 0.5 * polynomial * t * decay
    return 0.5 + tf.sign(x) * (0.5 - tail) + x * decay / math.sqrt(2.0 * math.pi)


def _tanh_derivative(x: tf.Tensor) -> tf.Tensor:
    """``GELU'(x) = ½(1 + t) + ½·x·(1 - t²)·u'`` with ``t = tanh(u)`` and ``u = √(2/π)·(x + 0.044715·x³)``."""
    square = x * x
    tanh = tf.tanh(x * (_TANH_SCALE + _TANH_SCALE * _TANH_CUBIC * square))
    slope = _TANH_SCALE + 3.0 * _TANH_SCALE * _TANH_CUBIC * square
    # Not with 0.5 · x: the converter would share that product with the forward graph, and leave GELU in pieces.
    return 0.5 * (1.0 + tanh + x * slope * (1.0 - tanh * tanh))


_DERIVATIVES: dict[Pattern, Callable[[tf.Tensor], tf.Tensor]] = {
    _EXACT: _exact_derivative,
    _EXACT_BEFORE_TENSORFLOW_2_20: _exact_derivative,
    _TANH: _tanh_derivative,
}
