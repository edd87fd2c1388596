"""Cases of the rules for activation functions, TensorFlow's and those of Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from support.gradient_cases.check import Case

S = (2, 3, 4)


def wide(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Reaches the flat ends of most functions."""
    return rng.normal(scale=4.0, size=shape)


def case(function: Any, *ops: str, smooth: bool = True, tflite: bool = True) -> Case:
    return Case(lambda x: function(2.0 * x), [S], ops, smooth=smooth, tflite=tflite, draw=wide)


CASES: dict[str, Case] = {
    "relu": case(tf.nn.relu, "Relu"),
    "relu6": case(tf.nn.relu6, "Relu6"),
    "leaky_relu": case(lambda x: tf.nn.leaky_relu(x, 0.3), "LeakyRelu"),
    "elu": case(tf.nn.elu, "Elu"),
    "selu": case(tf.nn.selu, "Selu"),
    "softplus": case(tf.nn.softplus, "Softplus"),
    "softsign": case(tf.nn.softsign, "Softsign"),
    "tanh": case(tf.tanh, "Tanh"),
    "sigmoid": case(tf.sigmoid, "Sigmoid"),
    "softmax": case(tf.nn.softmax, "Softmax"),
    "log_softmax": case(tf.nn.log_softmax, "LogSoftmax"),
    "erf": case(tf.math.erf, "Erf", tflite=False),
    "erfc": case(tf.math.erfc, "Erfc", tflite=False),
    "gelu": case(tf.nn.gelu, "Erfc"),
    "gelu_of_older_tensorflow": case(lambda x: 0.5 * x * (1.0 + tf.math.erf(x / 1.4142135623730951)), "Erf"),
    "gelu_tanh": case(lambda x: tf.nn.gelu(x, approximate=True), "Tanh"),
    "silu_with_beta": case(lambda x: tf.nn.silu(x, 1.5), "IdentityN"),
}
#: The others, such as `get`, are no functions of one tensor.
_NOT_ALONE = ("deserialize", "get", "serialize", "sparsemax", "threshold")
CASES |= {
    f"keras_{name}": case(getattr(keras.activations, name))
    for name in dir(keras.activations)
    if callable(getattr(keras.activations, name)) and name not in _NOT_ALONE
}
CASES["keras_threshold"] = case(lambda x: keras.activations.threshold(x, 0.5, 0.1))
# Of values further apart it is constant.
CASES["keras_sparsemax"] = Case(keras.activations.sparsemax, [S], ("TopKV2", "Cumsum"), smooth=True)
