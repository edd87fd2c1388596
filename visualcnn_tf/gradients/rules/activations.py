"""Gradients of activation functions."""

from __future__ import annotations

import math

import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.rules.elementwise import unary
from visualcnn_tf.gradients.tensors import mask

# Klambauer et al., Self-Normalizing Neural Networks, arXiv 1706.02515.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _leaky_relu(node: Node) -> InputGradients:
    """``dx = dy`` where ``x > 0``, else ``slope · dy``."""
    slope = node.attribute("alpha")
    return [node.gradient * (slope + (1.0 - slope) * mask(node.inputs[0] > 0.0, node.gradient))]


def _selu_derivative(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """``dy/dx = scale`` where ``y ≥ 0``, else ``scale · alpha · exp(x) = y + scale · alpha``."""
    jump = _SELU_SCALE * _SELU_ALPHA - _SELU_SCALE
    return _SELU_SCALE + jump * mask(y < 0.0, y) + tf.minimum(y, 0.0)


def _softmax(node: Node) -> InputGradients:
    """``dx = (dy - Σ dy · y) · y``."""
    y = node.output
    return [(node.gradient - tf.reduce_sum(node.gradient * y, -1, keepdims=True)) * y]


def _log_softmax(node: Node) -> InputGradients:
    """``dx = dy - exp(y) · Σ dy``."""
    return [node.gradient - tf.exp(node.output) * tf.reduce_sum(node.gradient, -1, keepdims=True)]


RULES: dict[str, Rule] = {
    "Elu": unary(lambda x, y: tf.minimum(y, 0.0) + 1.0),
    "Erf": unary(lambda x, y: 2.0 / math.sqrt(math.pi) * tf.exp(-x * x)),
    "Erfc": unary(lambda x, y: -2.0 / math.sqrt(math.pi) * tf.exp(-x * x)),
    "LeakyRelu": _leaky_relu,
    "LogSoftmax": _log_softmax,
    "Relu": unary(lambda x, y: mask(y > 0.0, y)),
    "Relu6": unary(lambda x, y: mask(tf.logical_and(y > 0.0, y < 6.0), y)),
    "Selu": unary(_selu_derivative),
    "Sigmoid": unary(lambda x, y: y * (1.0 - y)),
    "Softmax": _softmax,
    "Softplus": unary(lambda x, y: tf.sigmoid(x)),
    "Softsign": unary(lambda x, y: 1.0 / tf.square(1.0 + tf.abs(x))),
    "Tanh": unary(lambda x, y: 1.0 - y * y),
}
