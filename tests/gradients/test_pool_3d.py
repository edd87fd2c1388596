"""Pooling of volumes: of equal maxima in a window the first gets the gradient, against plain loops in float64."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from support.gradient_cases.check import TOLERANCE, relative
from support.gradient_cases.pooling import negative, with_ties

import visualcnn_tf as vc
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_operations import count_ops, foreign_ops
from visualcnn_tf.gradients.backward import backward_pass


def windows(shape: Sequence[int], kernel: Sequence[int], strides: Sequence[int], padding: str) -> list[tuple[Any, Any]]:
    """The index of each output, and the slices of the input that its window covers, without the padding."""
    axes = []
    for size, length, stride in zip(shape, kernel, strides, strict=True):
        count = -(-size // stride) if padding == "SAME" else (size - length) // stride + 1
        before = max((count - 1) * stride + length - size, 0) // 2 if padding == "SAME" else 0
        starts = [index * stride - before for index in range(count)]
        axes.append([(i, slice(max(start, 0), min(start + length, size))) for i, start in enumerate(starts)])
    return [(tuple(i for i, _ in each), tuple(part for _, part in each)) for each in itertools.product(*axes)]


def pooling_gradient(x: np.ndarray, dy: np.ndarray, kernel: Any, strides: Any, padding: str, kind: str) -> np.ndarray:
    """The gradient of a pooling of ``(B, *space, C)``, window by window."""
    dx = np.zeros(x.shape)
    for b, c in itertools.product(range(x.shape[0]), range(x.shape[-1])):
        for index, part in windows(x.shape[1:-1], kernel, strides, padding):
            window = x[b][(*part, c)]
            shares = np.full(window.shape, 1 / window.size)
            if kind == "max":
                shares = np.zeros(window.shape)
                shares.flat[window.argmax()] = 1
            dx[b][(*part, c)] += shares * dy[b][(*index, c)]
    return dx


def traced(kind: str, kernel: Any, strides: Any, padding: str, spec: tf.TensorSpec) -> Any:
    """The gradient as a function of the input and of the gradient of the output."""
    pool = tf.nn.max_pool3d if kind == "max" else tf.nn.avg_pool3d

    def gradient(x: Any, dy: Any) -> Any:
        x = tf.identity(x)
        y = pool(x, kernel, strides, padding)
        found = backward_pass([y], [dy], [x])
        assert not found.fallbacks
        return found.of[0]

    output = pool(tf.zeros([9 if n is None else n for n in spec.shape]), kernel, strides, padding).shape
    sizes = [None if known is None else n for known, n in zip(spec.shape, output, strict=True)]
    return tf.function(gradient, input_signature=[spec, tf.TensorSpec(sizes)], autograph=False)


def output_gradient(x: np.ndarray, kernel: Any, strides: Any, padding: str) -> np.ndarray:
    shape = tf.nn.max_pool3d(x, kernel, strides, padding).shape
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


DRAWS = {"ties": with_ties, "zeros": lambda rng, shape: np.zeros(shape), "negative": negative}
CASES: dict[str, tuple[tuple[int, ...], Any, Any]] = {
    "doubling": ((2, 4, 6, 4, 3), [2, 2, 2], [2, 2, 2]),
    "odd": ((1, 5, 7, 3, 2), [2, 2, 2], [2, 2, 2]),
    "overlapping": ((2, 5, 6, 7, 2), [3, 3, 3], [2, 2, 2]),
    "stride of one": ((1, 4, 5, 4, 2), [3, 3, 3], [1, 1, 1]),
    "unequal": ((1, 6, 7, 8, 2), [1, 3, 2], [1, 2, 3]),
    "stride larger than kernel": ((1, 7, 6, 8, 2), [2, 1, 2], [3, 2, 3]),
    "depth alone": ((1, 6, 3, 4, 2), [3, 1, 1], [2, 1, 1]),
    "everything": ((2, 3, 4, 2, 2), [3, 4, 2], [1, 1, 1]),
}


@pytest.mark.sweep
@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("name", CASES)
def test_the_first_maximum_gets_the_gradient(name: str, padding: str, draw: str) -> None:
    shape, kernel, strides = CASES[name]
    x = DRAWS[draw](np.random.default_rng(5), shape).astype(np.float32)
    dy = output_gradient(x, kernel, strides, padding)
    got = traced("max", kernel, strides, padding, tf.TensorSpec((None, *shape[1:])))(x, dy)
    assert relative(got, pooling_gradient(x, dy, kernel, strides, padding, "max")) <= TOLERANCE


@pytest.mark.sweep
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("name", CASES)
def test_an_average_shares_the_gradient(name: str, padding: str) -> None:
    shape, kernel, strides = CASES[name]
    x = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    dy = output_gradient(x, kernel, strides, padding)
    got = traced("avg", kernel, strides, padding, tf.TensorSpec(shape))(x, dy)
    assert relative(got, pooling_gradient(x, dy, kernel, strides, padding, "avg")) <= TOLERANCE


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize(
    "known", [[None] * 4 + [2], [None, None, 6, 7, 2], [None, 5, None, 7, 2], [2, 5, 6, None, 2]], ids=str
)
def test_unknown_sizes(kind: str, known: list[int | None]) -> None:
    x = with_ties(np.random.default_rng(5), (2, 5, 6, 7, 2)).astype(np.float32)
    for padding in ("SAME", "VALID"):
        dy = output_gradient(x, [3, 2, 3], [2, 2, 1], padding)
        got = traced(kind, [3, 2, 3], [2, 2, 1], padding, tf.TensorSpec(known))(x, dy)
        assert relative(got, pooling_gradient(x, dy, [3, 2, 3], [2, 2, 1], padding, kind)) <= TOLERANCE


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_channels_first(kind: str) -> None:
    # The pooling itself has no channels first on a CPU; its gradient does not read it.
    x = with_ties(np.random.default_rng(5), (2, 5, 6, 7, 3)).astype(np.float32)
    dy = output_gradient(x, [3, 3, 3], [2, 2, 2], "SAME")
    x_first, dy_first = (np.moveaxis(each, -1, 1) for each in (x, dy))
    pool = tf.raw_ops.MaxPool3D if kind == "max" else tf.raw_ops.AvgPool3D

    @tf.function(autograph=False)
    def gradient(x: Any, dy: Any) -> Any:
        x = tf.identity(x)
        y = pool(input=x, ksize=[1, 1, 3, 3, 3], strides=[1, 1, 2, 2, 2], padding="SAME", data_format="NCDHW")
        return backward_pass([y], [dy], [x]).of[0]

    want = pooling_gradient(x, dy, [3, 3, 3], [2, 2, 2], "SAME", kind)
    assert relative(np.moveaxis(gradient(x_first, dy_first).numpy(), 1, -1), want) <= TOLERANCE


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_the_gradients_convert_to_builtin_operations(kind: str) -> None:
    """TensorFlow Lite lacks the pooling, but not what its gradient is made of."""
    x = with_ties(np.random.default_rng(5), (1, 4, 5, 6, 2)).astype(np.float32)
    dy = output_gradient(x, [2, 3, 3], [2, 2, 2], "SAME")
    function = traced(kind, [2, 3, 3], [2, 2, 2], "SAME", tf.TensorSpec(x.shape))
    content = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module()).convert()
    assert not foreign_ops(count_ops(content))
    runner = interpreter(content).get_signature_runner()
    (got,) = runner(x=x, dy=dy).values()
    assert relative(got, pooling_gradient(x, dy, [2, 3, 3], [2, 2, 2], "SAME", kind)) <= TOLERANCE


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam"])
def test_heatmaps_before_max_pooling_of_volumes(method: str) -> None:
    """After a ReLU whole windows are zero; the head reads each position by weights of its own."""
    keras.utils.set_random_seed(2)
    volume = keras.Input((8, 8, 8, 1))
    maps = layers.Conv3D(4, 3, activation="relu", name="conv")(volume)
    dense = layers.Dense(1)
    model = keras.Model(volume, dense(layers.Flatten()(layers.MaxPooling3D(2)(maps))))
    x = np.random.default_rng(2).random((2, 8, 8, 8, 1)).astype(np.float32)
    a = keras.Model(volume, maps).predict(x, verbose=0).astype(np.float64)
    assert (a == 0).mean() > 0.2
    weights = np.broadcast_to(dense.kernel.numpy().reshape(1, 3, 3, 3, 4), (2, 3, 3, 3, 4))
    g = pooling_gradient(a, weights, [2] * 3, [2] * 3, "VALID", "max")
    want = {
        "gradcam": (g.mean((1, 2, 3), keepdims=True) * a).sum(-1),
        "hirescam": (g * a).sum(-1),
        "layercam": (np.maximum(g, 0) * a).sum(-1),
    }[method]
    signed = type(vc.methods.get(method))(relu=False)
    got = vc.attach(model, "conv", method=signed, size=None, normalize=None).predict(x, verbose=0)["heatmap_conv"]
    assert relative(got, want) <= 1e-5
