"""Variants of operations that no rule covers: TensorFlow's own gradient is used, and reported as a fallback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from visualcnn_tf.gradients.backward import backward_pass

#: Functions of ``x`` and of a number, 1, that is known at run time only; and the operation that falls back.
FALLBACKS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "rows selected by a vector": ("Select", lambda x, n: tf.raw_ops.Select(condition=[True, False], x=x, y=3.0 * x)),
    "limits that depend on the image": (
        "ClipByValue",
        lambda x, n: tf.raw_ops.ClipByValue(t=x, clip_value_min=0.5 * x - 0.3, clip_value_max=tf.ones_like(x)),
    ),
    "gathered along any axis": ("GatherV2", lambda x, n: tf.gather(x, [1, 0, 1], axis=n)),
    "gathered in each image along a later axis": (
        "GatherV2",
        lambda x, n: tf.gather(x, [[2, 0], [1, 1]], axis=2, batch_dims=1),
    ),
    "patches with holes": (
        "ExtractImagePatches",
        lambda x, n: tf.image.extract_patches(x[..., tf.newaxis], [1, 2, 2, 1], [1] * 4, [1, 1, 2, 1], "VALID"),
    ),
    "the diagonal": ("Einsum", lambda x, n: tf.raw_ops.Einsum(inputs=[x[..., :3]], equation="bii->bi")),
    "a sum over one operand's label": ("Einsum", lambda x, n: tf.raw_ops.Einsum(inputs=[x], equation="bij->bi")),
    "copies that an ellipsis makes": (
        "Einsum",
        lambda x, n: tf.raw_ops.Einsum(inputs=[x, tf.ones([5, 1, 4, 3])], equation="...ab,...bc->...ac"),
    ),
    "a batch normalization of a computed scale": ("FusedBatchNormV3", lambda x, n: _normalized(x)),
    "sum over any axis": ("Sum", lambda x, n: tf.reduce_sum(x, n)),
    "mean over any axis": ("Mean", lambda x, n: tf.reduce_mean(x, n)),
    "maximum over any axis": ("Max", lambda x, n: tf.reduce_max(x, n)),
    "product over any axis": ("Prod", lambda x, n: tf.reduce_prod(x, n)),
    "product over two axes": ("Prod", lambda x, n: tf.reduce_prod(x, [1, 2])),
    "concatenated along any axis": ("ConcatV2", lambda x, n: tf.concat([x, x * x], n)),
    "transposed in any order": ("Transpose", lambda x, n: tf.transpose(x, [0, 3 - n, n])),
    "any number of copies": ("Tile", lambda x, n: tf.tile(x, [1, n + 1, 1])),
    "any border": ("Pad", lambda x, n: tf.pad(x, [[0, 0], [n, 0], [0, n]])),
    "any mirrored border": ("MirrorPad", lambda x, n: tf.pad(x, [[0, 0], [n, n], [0, 0]], "REFLECT")),
    "a slice from any index": ("StridedSlice", lambda x, n: x[:, n:]),
    "a slice that is computed whole": (
        "StridedSlice",
        lambda x, n: tf.strided_slice(x, tf.fill([3], n), tf.fill([3], n + 1), tf.fill([3], n)),
    ),
}


def _normalized(x: Any) -> Any:
    scale, offset, statistics = x[0, 0], tf.zeros([4]), [tf.zeros([4]), tf.ones([4])]
    return tf.compat.v1.nn.fused_batch_norm(x[:, tf.newaxis], scale, offset, *statistics, is_training=False)[0]


def gradients(function: Callable[[Any, Any], Any], shape: list[int | None]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The gradient of the product with noise by ``backward_pass`` and by TensorFlow, and the types of the fallbacks."""
    fallbacks: list[str] = []

    def both(x: Any, number: Any) -> tuple[Any, Any]:
        x = tf.identity(x)
        y = function(x, number)
        seed = tf.random.stateless_normal(tf.shape(y), [3, 4])
        found = backward_pass([y], [seed], [x])
        fallbacks.extend(kind for kind, _ in found.fallbacks)
        return found.of[0], tf.convert_to_tensor(tf.gradients(y, x, grad_ys=seed)[0])

    specs = [tf.TensorSpec(shape, tf.float32), tf.TensorSpec([], tf.int32)]
    x = np.random.default_rng(5).normal(size=(2, 3, 4)).astype(np.float32)
    got, want = tf.function(both, autograph=False, input_signature=specs)(x, 1)
    return got.numpy(), want.numpy(), fallbacks


@pytest.mark.parametrize("name", FALLBACKS)
def test_what_no_rule_covers_gets_tensorflows_gradient(name: str) -> None:
    kind, function = FALLBACKS[name]
    got, want, fallbacks = gradients(function, [2, 3, 4])
    assert fallbacks == [kind]
    assert np.abs(want).max() > 0
    np.testing.assert_array_equal(got, want)


#: With an unknown number of rows and columns: by the rules where they can, else by TensorFlow.
UNKNOWN_SIZES: dict[str, tuple[list[str], Callable[[Any, Any], Any]]] = {
    "maximum": ([], lambda x, n: tf.reduce_max(x, -1)),
    "sum": ([], lambda x, n: tf.reduce_sum(x, 1)),
    "the first two": ([], lambda x, n: x[:, :2]),
    "all but the last": ([], lambda x, n: x[:, :-1]),
    "the last": (["StridedSlice"], lambda x, n: x[:, -1:]),
    "every other": (["StridedSlice"], lambda x, n: x[:, ::2]),
    "the last, without its axis": (["StridedSlice"], lambda x, n: x[:, -1]),
    "the two largest": (["TopKV2"], lambda x, n: tf.math.top_k(x, 2).values),
}


@pytest.mark.parametrize("name", UNKNOWN_SIZES)
def test_unknown_sizes(name: str) -> None:
    kinds, function = UNKNOWN_SIZES[name]
    got, want, fallbacks = gradients(function, [None, None, None])
    assert fallbacks == kinds
    assert np.abs(want).max() > 0
    np.testing.assert_allclose(got, want, rtol=2e-6)


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_loops_which_their_gradients_add_inputs_to(cell: str, bidirectional: bool) -> None:
    keras.utils.set_random_seed(0)
    layer = getattr(keras.layers, cell)(3)
    layer = keras.layers.Bidirectional(layer) if bidirectional else layer

    def both(x: Any) -> tuple[Any, Any, Any]:
        y = layer(x)
        first, second = (backward_pass([y], [factor * tf.ones_like(y)], [x]) for factor in (1.0, 2.0))
        assert "While" in {kind for kind, _ in first.fallbacks}
        return first.of[0], second.of[0], tf.gradients(y, x)[0]

    x = np.random.default_rng(5).normal(size=(2, 4, 5)).astype(np.float32)
    layer(x)  # builds it outside of the graph
    once, twice, want = tf.function(both, autograph=False)(x)
    assert np.abs(want).max() > 0
    np.testing.assert_array_equal(once, want)
    np.testing.assert_array_equal(twice, 2 * want)
