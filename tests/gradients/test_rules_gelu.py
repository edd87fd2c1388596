"""The gradient of GELU, whose operations TensorFlow Lite fuses only if nothing else reads the tensors between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.gradient_cases.check import relative

from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_operations import count_ops
from visualcnn_tf.gradients.backward import backward_pass
from visualcnn_tf.gradients.node import Node
from visualcnn_tf.gradients.rules import composite_gradient

X = np.linspace(-1.0, 2.0, 12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_stays_one_operation_in_tflite(approximate: bool) -> None:
    @tf.function(input_signature=[tf.TensorSpec(X.shape, name="x")], autograph=False)
    def graph(x: Any) -> dict[str, Any]:
        y = tf.nn.gelu(x * 2.0, approximate)
        result = tf.nn.gelu(y * y, approximate)
        return {"result": result, "gradient": backward_pass([result], [tf.ones_like(result)], [x]).of[0]}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()], tf.Module())
    content = converter.convert()
    assert count_ops(content)["GELU"] == 2
    got, want = interpreter(content).get_signature_runner()(x=X), graph(X)
    assert relative(got["result"], want["result"]) <= 2e-6
    assert relative(got["gradient"], want["gradient"]) <= 2e-6


def test_a_function_similar_to_gelu_is_not_taken_for_gelu() -> None:
    @tf.function(autograph=False)
    def graph(x: Any) -> list[Any]:
        x = tf.identity(x)
        y = 0.5 * x * tf.math.erfc(-x * 0.9)
        assert composite_gradient(Node(y.op, [tf.ones_like(y)], [True, True])) is None
        return [backward_pass([y], [tf.ones_like(y)], [x]).of[0], tf.gradients(y, x)[0]]

    assert relative(*graph(X)) <= 2e-6
