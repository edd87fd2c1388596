"""The backward pass: several sources, dtypes, function calls, and operations without a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.gradient_cases.check import relative

from visualcnn_tf.errors import NoGradientError
from visualcnn_tf.gradients.backward import backward_pass
from visualcnn_tf.gradients.graph_paths import connected

X = np.linspace(-1.0, 2.0, 12, dtype=np.float32).reshape(3, 4)
Forward = Callable[[Any], tuple[Any, Sequence[Any]]]


def gradients_of(forward: Forward, x: Any = X) -> list[Any]:
    """Differentiate the sum of a result; ``forward`` returns the result and the sources."""

    def graph(x: Any) -> list[Any]:
        result, sources = forward(tf.identity(x))
        found = backward_pass([result], [tf.ones_like(result, dtype=tf.float32)], sources)
        assert not found.fallbacks, found.fallbacks
        # A function cannot return None among tensors.
        return [tf.constant("none") if gradient is None else gradient for gradient in found.of]

    return [gradient.numpy() for gradient in tf.function(graph, autograph=False)(x)]


# --- sources ---


def test_sources_at_several_depths_in_one_pass() -> None:
    def forward(x: Any) -> tuple[Any, list[Any]]:
        y = tf.square(x)
        z = tf.exp(-y)
        return z * 3.0, [x, z, y]

    of_x, of_z, of_y = gradients_of(forward)
    decay = np.exp(-np.square(X))
    assert relative(of_z, np.full_like(X, 3.0)) == 0
    assert relative(of_y, -3.0 * decay) <= 1e-6
    assert relative(of_x, -6.0 * X * decay) <= 1e-6


def test_sources_in_parallel_and_before_one_another() -> None:
    def forward(x: Any) -> tuple[Any, list[Any]]:
        left, right = tf.sin(x), tf.cos(x)
        return left * right, [left, right, x]

    of_left, of_right, of_x = gradients_of(forward)
    assert relative(of_left, np.cos(X)) <= 1e-6
    assert relative(of_right, np.sin(X)) <= 1e-6
    assert relative(of_x, np.cos(2.0 * X)) <= 1e-6


def test_a_source_that_is_the_result() -> None:
    of_result, of_x = gradients_of(lambda x: (y := x * 2.0, [y, x]))
    assert of_result.tolist() == np.ones_like(X).tolist()
    assert of_x.tolist() == np.full_like(X, 2.0).tolist()


def test_a_source_that_the_score_does_not_depend_on() -> None:
    of_other, of_steps, of_x = gradients_of(lambda x: (tf.sin(x) + tf.floor(y := x * 2.0), [tf.exp(x), y, x]))
    assert of_other == of_steps == b"none"
    assert relative(of_x, np.cos(X)) <= 1e-6


def test_the_same_source_twice() -> None:
    first, second = gradients_of(lambda x: (x * x, [x, x]))
    assert first.tolist() == second.tolist() == (2.0 * X).tolist()


def test_shared_operations_are_differentiated_once() -> None:
    def forward(x: Any) -> tuple[Any, list[Any]]:
        y = x
        for _ in range(40):  # 2^40 paths
            y = (y + y) * 0.5
        return y, [x]

    assert gradients_of(forward)[0].tolist() == np.ones_like(X).tolist()


def test_several_results_add_up() -> None:
    @tf.function(autograph=False)
    def graph(x: Any) -> Any:
        x = tf.identity(x)
        results = [tf.square(x), tf.reduce_sum(x, 1)]
        return backward_pass(results, [tf.ones_like(x), tf.constant([1.0, 2.0, 3.0])], [x]).of[0]

    assert relative(graph(X), 2.0 * X + [[1.0], [2.0], [3.0]]) <= 1e-6


def test_connected_by_differentiable_paths_only() -> None:
    with tf.Graph().as_default():
        x = tf.identity(tf.constant(X))
        for reader, expected in [
            (tf.exp(x), True),
            (tf.stop_gradient(x), False),
            (tf.round(x) + 1.0, False),
            (tf.cast(tf.argmax(x, 1), tf.float32), False),
            (tf.round(x) * x, True),
        ]:
            assert connected([reader], x) is expected
        assert not connected([tf.constant(1.0)], x)


# --- dtypes ---


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_has_gradients_in_float32(half: str) -> None:
    def forward(x: Any) -> tuple[Any, list[Any]]:
        y = tf.cast(x, half)
        return tf.cast(tf.square(y) * y, tf.float32), [y, x]

    of_y, of_x = gradients_of(forward)
    assert of_y.dtype == of_x.dtype == np.float32
    rounded = tf.cast(tf.cast(X, half), tf.float32).numpy()
    assert relative(of_y, 3.0 * np.square(rounded)) <= {"float16": 1e-3, "bfloat16": 1e-2}[half]


def test_gradients_that_half_precision_would_lose() -> None:
    tiny = gradients_of(lambda x: (tf.cast(tf.cast(x, tf.float16) * 1e-4, tf.float32) * 1e-6, [x]))[0]
    assert relative(tiny, np.full_like(X, 1e-10)) <= 1e-3


def test_double_precision() -> None:
    @tf.function(autograph=False)
    def graph(x: Any) -> list[Any]:
        x = tf.identity(x)
        y = tf.cast(x, tf.float64)
        return backward_pass([tf.exp(y)], [tf.ones_like(y)], [y, x]).of

    of_y, of_x = graph(X)
    assert (of_y.dtype, of_x.dtype) == (tf.float64, tf.float32)
    assert relative(of_y, np.exp(X.astype(np.float64))) <= 1e-14


# --- function calls ---


@tf.function(autograph=False)
def inner(a: Any, b: Any) -> tuple[Any, Any]:
    return tf.sin(a) * b, tf.exp(b)


@tf.function(autograph=False)
def outer(a: Any, b: Any) -> Any:
    first, second = inner(a, b)
    return inner(first + a, second)[0]


@pytest.mark.parametrize("jit", [False, True])
def test_function_calls_are_inlined(jit: bool) -> None:
    called = tf.function(lambda x: outer(x, x) + outer(x, 2.0 * x), autograph=False, jit_compile=jit)

    def plain(a: Any, b: Any) -> Any:
        first, second = tf.sin(a) * b, tf.exp(b)
        return tf.sin(first + a) * second

    found = gradients_of(lambda x: (called(x), [x]))[0]
    with tf.GradientTape() as tape:
        tape.watch(x := tf.constant(X))
        result = plain(x, x) + plain(x, 2.0 * x)
    assert relative(found, tape.gradient(result, x)) <= 2e-6


def test_function_calls_are_inlined_under_control_dependencies() -> None:
    @tf.function(autograph=False)
    def graph(x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(x < 9.0), [x])]):
            y = tf.identity(x)
            return backward_pass([outer(y, y)], [tf.ones_like(y)], [y]).of[0]

    assert graph(X).numpy().tolist() == gradients_of(lambda x: (outer(x, x), [x]))[0].tolist()
    with pytest.raises(tf.errors.InvalidArgumentError, match="assertion failed"):
        graph(X + 9.0)


def test_a_source_that_enters_a_call_twice() -> None:
    found = gradients_of(lambda x: (inner(y := x * 1.0, y)[0], [y]))[0]
    assert relative(found, np.cos(X) * X + np.sin(X)) <= 2e-6


def test_keras_grouped_convolution() -> None:
    layer = keras.layers.Conv2D(4, 3, groups=2)
    layer.build((None, 5, 5, 6))
    images = tf.random.stateless_normal((2, 5, 5, 6), (1, 2))

    @tf.function(autograph=False)
    def graph(x: Any) -> list[Any]:
        x = tf.identity(x)
        y = layer(x)
        types = {op.type for op in y.graph.get_operations()}
        assert "StatefulPartitionedCall" in types  # where Keras compiles the convolution
        return [backward_pass([y], [tf.ones_like(y)], [x]).of[0], tf.gradients(y, x)[0]]

    found, truth = graph(images)
    assert relative(found, truth) <= 2e-6


# --- operations without a rule ---


def test_falls_back_on_the_registered_gradient() -> None:
    @tf.function(autograph=False)
    def graph(x: Any) -> Any:
        x = tf.identity(x)
        y = tf.math.atan2(tf.cast(x, tf.float16), tf.constant(2.0, tf.float16), name="angle")
        found = backward_pass([y], [tf.ones_like(y, tf.float32)], [x])
        assert found.fallbacks == [("Atan2", "angle")]
        return found.of[0]

    assert relative(graph(X), 2.0 / (4.0 + X * X)) <= 2e-3


def test_falls_back_inside_a_call_and_on_gathered_slices() -> None:
    @tf.function(autograph=False)
    def picked(x: Any, indices: Any) -> Any:
        return tf.square(tf.raw_ops.Gather(params=x, indices=indices))

    @tf.function(autograph=False)
    def graph(x: Any, indices: Any) -> Any:
        x = tf.identity(x)
        y = picked(x, indices)
        found = backward_pass([y], [tf.ones_like(y)], [x])
        assert [kind for kind, _ in found.fallbacks] == ["Gather"]
        return found.of[0]

    assert relative(graph(X, tf.constant([2, 0, 2])), 2.0 * X * [[1.0], [0.0], [2.0]]) <= 1e-6


def test_control_flow_falls_back() -> None:
    @tf.function(autograph=False)
    def graph(x: Any) -> Any:
        x = tf.identity(x)
        y = tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.square(x), lambda: -x)
        return backward_pass([y], [tf.ones_like(y)], [x]).of[0]

    assert relative(graph(X), 2.0 * X) <= 1e-6
    assert relative(graph(-10.0 - X), -np.ones_like(X)) == 0


def test_custom_gradients_of_users_are_used() -> None:
    @tf.custom_gradient
    def straight_through(x: Any) -> Any:
        return tf.round(x), lambda gradient: 5.0 * gradient

    @tf.function(autograph=False)
    def graph(x: Any) -> Any:
        x = tf.identity(x)
        y = straight_through(x)
        return backward_pass([y], [tf.ones_like(y)], [x]).of[0]

    assert relative(graph(X), np.full_like(X, 5.0)) == 0


def test_an_operation_without_gradient() -> None:
    def forward(x: Any) -> tuple[Any, list[Any]]:
        return tf.raw_ops.PreventGradient(input=x, message="none", name="wall"), [x]

    with pytest.raises(NoGradientError, match=r"'PreventGradient' \('wall'\).*has no gradient.*'reciprocam'"):
        gradients_of(forward)


# --- one-hot output gradients ---


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_one_hot_output_gradients_select_columns_of_the_kernel(dtype: str) -> None:
    """Equal to the matrix product, zeros for a row without a class; and the graph has no such product."""
    matrix = tf.Variable(np.random.default_rng(0).normal(size=(4, 5)), dtype=dtype)
    dense = tf.function(lambda x: tf.nn.bias_add(tf.matmul(x, matrix), tf.ones(5, dtype)))
    classes = tf.constant([[4], [-1], [0]])

    def graph(x: Any) -> list[Any]:
        y = dense(x)
        seed = tf.one_hot(classes[:, 0], 5)
        found = backward_pass([y], [seed], [x], classes).of[0]
        assert not transposed_products(found.graph)
        return [found, backward_pass([y], [seed], [x]).of[0]]

    picked, product = tf.function(graph, autograph=False)(tf.constant(X, dtype))
    assert picked.dtype == tf.float32
    np.testing.assert_array_equal(picked, product)
    np.testing.assert_array_equal(picked[1], np.zeros(4))


def transposed_products(graph: Any) -> list[Any]:
    """The products with a transposed matrix in a graph, of which the forward pass has none."""
    products = [operation for operation in graph.get_operations() if operation.type == "MatMul"]
    return [operation for operation in products if operation.get_attr("transpose_b")]
