"""Variants of convolution, pooling and resizing that fall back on TensorFlow, and tests of several rules at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.gradient_cases.check import TOLERANCE, check_finite_differences, relative
from support.gradient_cases.convolution import EXPLICIT, conv, weights
from support.gradient_cases.pooling import with_ties

from visualcnn_tf.gradients.backward import backward_pass


def gradients(function: Callable[[Any], Any], x: np.ndarray, spec: tf.TensorSpec) -> tuple[Any, Any, list[str]]:
    """The gradient by ``backward_pass`` and by TensorFlow, and the types of the fallbacks."""
    fallbacks: list[str] = []

    @tf.function(autograph=False, input_signature=[spec])
    def both(x: Any) -> tuple[Any, Any]:
        x = tf.identity(x)
        output = function(x)
        seed = tf.cast(tf.cos(tf.range(tf.size(output), dtype=tf.float32)), tf.float32)
        seed = tf.reshape(seed, tf.shape(output))
        found = backward_pass([output], [seed], [x])
        fallbacks.extend(op for op, _ in found.fallbacks)
        return found.of[0], tf.gradients(output, x, tf.cast(seed, output.dtype))[0]

    return *both(x), fallbacks


def image(*shape: int) -> np.ndarray:
    return with_ties(np.random.default_rng(5), shape).astype("float32")


FALLBACKS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...], list[int | None]]] = {
    "MaxPool": (lambda x: tf.nn.max_pool2d(x, 3, 2, "SAME"), (2, 5, 6, 3), [None, None, 6, 3]),
    "AvgPool": (lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"), (2, 5, 6, 3), [None, None, None, 3]),
    "Conv2D": (lambda x: tf.nn.conv2d(x, tf.ones([3, 3, 3, 4]), 2, "SAME"), (2, 5, 6, 3), [None, None, None, 3]),
    "Conv3D": (lambda x: tf.nn.conv3d(x, tf.ones([3, 3, 3, 2, 4]), [1] * 5, "SAME"), (1, 4, 3, 5, 2), [None] * 4 + [2]),
    "DepthwiseConv2dNative": (
        lambda x: tf.nn.depthwise_conv2d(x, tf.ones([3, 3, 3, 2]), [1, 2, 2, 1], "SAME"),
        (2, 5, 6, 3),
        [None, None, None, 3],
    ),
    "ResizeBilinear": (lambda x: tf.image.resize(x, [7, 9]), (2, 5, 6, 3), [None, None, None, 3]),
}


@pytest.mark.parametrize("op", FALLBACKS)
def test_unknown_sizes_fall_back(op: str) -> None:
    function, shape, known = FALLBACKS[op]
    got, want, fallbacks = gradients(function, image(*shape), tf.TensorSpec(known))
    assert fallbacks == [op]
    assert relative(got, want) <= TOLERANCE


def test_a_transposed_convolution_of_unknown_size() -> None:
    kernel = tf.constant(weights(3, 3, 2, 3), tf.float32)

    def function(x: Any) -> Any:
        shape = tf.shape(x)
        return tf.nn.conv2d_transpose(x, kernel, tf.stack([shape[0], 2 * shape[1], 2 * shape[2], 2]), 2)

    got, want, fallbacks = gradients(function, image(2, 4, 5, 3), tf.TensorSpec([None, None, None, 3]))
    assert fallbacks == []
    assert relative(got, want) <= TOLERANCE


@pytest.mark.parametrize("op", ["Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative"])
def test_gradients_with_respect_to_the_kernel_fall_back(op: str) -> None:
    x = tf.constant(image(2, 5, 6, 3))
    functions = {
        "Conv2D": lambda kernel: tf.nn.conv2d(x, kernel, 1, "SAME"),
        "Conv2DBackpropInput": lambda kernel: tf.nn.conv2d_transpose(x, kernel, [2, 5, 6, 3], 1),
        "DepthwiseConv2dNative": lambda kernel: tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME"),
    }
    got, want, fallbacks = gradients(functions[op], weights(3, 3, 3, 3).astype("float32"), tf.TensorSpec([3, 3, 3, 3]))
    assert fallbacks == [op]
    assert relative(got, want) <= TOLERANCE


def test_explicit_paddings_and_dilations_at_once() -> None:
    # TensorFlow's own gradient does not know both on a CPU.
    check_finite_differences(conv((1, 7, 8, 3), (3, 3, 3, 4), padding=EXPLICIT, dilations=2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_has_gradients_in_float32(dtype: str) -> None:
    kernels = [weights(3, 3, 3, 3).round(), weights(3, 3, 3, 1).round()]

    def network(x: Any) -> Any:
        x = tf.nn.conv2d(x, tf.constant(kernels[0], x.dtype), 2, "SAME")
        x = tf.nn.relu(tf.nn.depthwise_conv2d(x, tf.constant(kernels[1], x.dtype), [1, 1, 1, 1], "SAME"))
        return tf.nn.avg_pool2d(tf.nn.max_pool2d(x, 3, 1, "SAME"), 2, 2, "SAME")

    got, _, fallbacks = gradients(network, image(2, 9, 8, 3).astype(dtype), tf.TensorSpec([2, 9, 8, 3], dtype))
    _, want, _ = gradients(network, image(2, 9, 8, 3), tf.TensorSpec([2, 9, 8, 3]))
    assert fallbacks == []
    assert got.dtype == tf.float32
    # The values are small integers, exact in either type: so are the maxima and the masks.
    assert relative(got, want) <= TOLERANCE


def test_xla() -> None:
    """Gradients of windows, strides, dilations and groups are the same when XLA compiles them."""

    def network(x: Any) -> Any:
        x = tf.nn.conv2d(x, tf.constant(weights(3, 3, 4, 4), tf.float32), 2, "SAME")
        x = tf.nn.conv2d(x, tf.constant(weights(3, 3, 2, 4), tf.float32), 1, "SAME", dilations=2)
        x = tf.nn.depthwise_conv2d(x, tf.constant(weights(3, 3, 4, 1), tf.float32), [1, 2, 2, 1], "SAME")
        x = tf.nn.avg_pool2d(tf.nn.max_pool2d(x, 3, 1, "SAME"), 3, 2, "SAME")
        return tf.image.resize(x, [5, 4])

    def gradient(x: Any) -> Any:
        x = tf.identity(x)
        output = network(x)
        return backward_pass([output], [tf.ones(output.shape)], [x]).of[0]

    x = np.random.default_rng(0).normal(size=(2, 16, 15, 4)).astype("float32")
    plain, compiled = (tf.function(gradient, jit_compile=compile)(x) for compile in (False, True))
    assert relative(compiled, plain) <= 1e-5
