"""Rules for tensors of which more than the batch size is unknown, and for broadcasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.gradient_cases.check import TOLERANCE, relative

from visualcnn_tf.gradients.backward import backward_pass
from visualcnn_tf.gradients.tensors import unbroadcast

IMAGES = np.random.default_rng(1).normal(size=(2, 5, 6, 4)).astype(np.float32)


def normalized(x: Any) -> Any:
    mean, variance = tf.nn.moments(x, [1, 2, 3], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-3)


def excited(x: Any) -> Any:
    return x * tf.sigmoid(tf.reduce_mean(x, [1, 2], keepdims=True) + tf.reduce_max(x, [1, 2], keepdims=True))


def attended(x: Any) -> Any:
    tokens = tf.reshape(x, [tf.shape(x)[0], -1, 4])
    scores = tf.nn.softmax(tf.einsum("bik,bjk->bij", tokens, tokens))
    return tf.reshape(tf.matmul(scores, tokens), tf.shape(x))


def with_class_token(x: Any) -> Any:
    tokens = tf.reshape(x, [tf.shape(x)[0], -1, 4])
    summary = tf.exp(tf.reduce_mean(tokens, 1, keepdims=True))
    return tf.concat([summary, tokens, 2.0 * summary, tf.sin(summary)], 1) ** 2.0


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "activation": lambda x: tf.nn.relu(tf.tanh(x) - 0.1),
    "attention": attended,
    "broadcast_first_row": lambda x: tf.square(x[:, :1] * x),
    "broadcast_first_column": lambda x: tf.where(x > 0.0, tf.nn.relu(x[:, :, :1] + 0.5), x),
    "broadcast_to_all": lambda x: tf.broadcast_to(x[:, 1:2], tf.shape(x)) ** 2.0,
    "borders": lambda x: tf.pad(x[:, 1:-1, :3, 1:], [[0, 0], [1, 1], [0, 2], [1, 0]]),
    "class_token": with_class_token,
    "concatenation": lambda x: tf.concat([x, tf.square(x)], -1),
    "excitation": excited,
    "first_row": lambda x: x[:, 0] * x[:, 0],
    "first_pixel_of_all": lambda x: tf.square(tf.slice(x, [0, 0, 0, 0], [1, 1, 1, -1])),
    "flattening": lambda x: tf.reshape(x, [-1, 4]) ** 3.0,
    "halves": lambda x: tf.multiply(*tf.split(x, 2, -1)),
    "normalization": normalized,
    "pooling": lambda x: tf.exp(tf.reduce_mean(x, [1, 2])),
    "scaling": lambda x: x * tf.constant([1.0, 2.0, 3.0, 4.0]),
    "slice": lambda x: tf.square(tf.slice(x, [0, 1, 0, 1], [-1, 2, -1, 2])),
    "transposition": lambda x: tf.transpose(tf.exp(x), [0, 3, 2, 1]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_unknown_height_and_width(name: str) -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 4))], autograph=False)
    def graph(x: Any) -> tuple[Any, Any]:
        x = tf.identity(x)
        y = FUNCTIONS[name](x)
        seed = tf.sin(tf.cast(tf.range(tf.size(y)), tf.float32))
        seed = tf.reshape(seed, tf.shape(y))
        found = backward_pass([y], [seed], [x])
        assert not found.fallbacks, found.fallbacks
        return found.of[0], tf.gradients(y, x, seed)[0]

    assert relative(*graph(IMAGES)) <= TOLERANCE


def test_unknown_rank_falls_back() -> None:
    @tf.function(input_signature=[tf.TensorSpec(None)], autograph=False)
    def graph(x: Any) -> Any:
        x = tf.identity(x)
        y = tf.nn.relu(x) * 2.0
        found = backward_pass([y], [tf.ones_like(y)], [x])
        assert found.fallbacks == [("Mul", "mul"), ("Relu", "Relu")]
        return found.of[0]

    assert relative(graph(IMAGES), 2.0 * (IMAGES > 0.0)) == 0


# --- broadcasts ---


@pytest.mark.parametrize(
    ("operand", "result"),
    [
        ((None, 3), (None, 3)),
        ((1, 3), (None, 3)),
        ((1, 3), (5, 3)),
        ((1, 3), (1, 3)),
        ((3,), (None, 2, 3)),
        ((2, 1), (None, 2, 3)),
        ((), (None, 3)),
        ((None, 1), (None, None)),
        ((None, 1, 3), (None, None, 3)),
    ],
)
def test_unbroadcast_sums_over_the_broadcast_axes(operand: Any, result: Any) -> None:
    shape = [4 if size is None else size for size in result]
    values = np.ones([4 if size is None else size for size in operand], np.float32)
    gradient = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(x := tf.constant(values))
        spread = tf.broadcast_to(x, shape)
    summed = tf.function(
        lambda x, gradient: unbroadcast(gradient, x, gradient),
        input_signature=[tf.TensorSpec(operand), tf.TensorSpec(result)],
        autograph=False,
    )
    assert relative(summed(values, gradient), tape.gradient(spread, x, gradient)) <= 1e-6


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("rows", [1, 5])
def test_unbroadcast_to_a_size_that_is_known_at_run_time_only(rows: int, jit_compile: bool) -> None:
    values = np.random.default_rng(2).normal(size=(2, rows, 3)).astype(np.float32)
    other = tf.constant(np.random.default_rng(3).normal(size=(5, 3)), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3))], autograph=False, jit_compile=jit_compile)
    def both(x: Any) -> tuple[Any, Any]:
        x = tf.identity(x)
        y = tf.exp(x * other) + x
        assert x.shape[1] is None
        assert y.shape[1] == 5
        found = backward_pass([y], [tf.ones_like(y)], [x])
        assert not found.fallbacks
        return found.of[0], tf.gradients(y, x)[0]

    assert relative(*both(values)) <= TOLERANCE
