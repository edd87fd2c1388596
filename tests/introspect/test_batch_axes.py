"""Where the batch is after every operation: what is worked out from the graph, against what changes with an example."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from keras import ops

from visualcnn_tf.introspect.batch_axes import batch_axes, has_row_per_example
from visualcnn_tf.introspect.batch_axis import BatchAxis
from visualcnn_tf.introspect.batch_axis_table import RULES
from visualcnn_tf.introspect.find_inputs import model_inputs
from visualcnn_tf.introspect.trace import trace_model

RNG = np.random.default_rng(0)
SHAPE = (4, 6, 2)
X = RNG.normal(size=(3, *SHAPE)).astype("float32")
TABLE = tf.constant(RNG.normal(size=(9, 5)).astype("float32"))
KERNEL = tf.constant(RNG.normal(size=(3, 3, 2, 3)).astype("float32"))
MATRIX = tf.constant(RNG.normal(size=(2, 3)).astype("float32"))

#: Each takes ``(B, 4, 6, 2)``. The second entry: the axis, blocks of examples, rows of each example in a block.
CASES: dict[str, tuple[Callable[[Any], Any], tuple[int, int, int] | None]] = {
    # elementwise
    "arithmetic": (lambda x: tf.nn.relu(x * 2.0 + 1.0) - tf.ones((6, 1)), (0, 1, 1)),
    "two of one batch": (lambda x: x + tf.reduce_mean(x, [1, 2], keepdims=True), (0, 1, 1)),
    "batch against channels": (lambda x: tf.reduce_mean(x, [1, 2, 3])[:, None] + tf.ones((5, 1, 2)), (1, 1, 1)),
    "a constant as large as the batch": (lambda x: x + tf.ones((3, 1, 1, 1)), None),
    "broadcast": (lambda x: tf.broadcast_to(x[:, None], [tf.shape(x)[0], 3, 4, 6, 2]), (0, 1, 1)),
    "several identities": (lambda x: tf.custom_gradient(lambda a: (a * 1.0, lambda g: g))(x), (0, 1, 1)),
    "a choice": (lambda x: tf.where(x > 0.0, x, 0.1 * x), (0, 1, 1)),
    # images
    "convolution": (lambda x: tf.nn.conv2d(x, KERNEL, 1, "SAME"), (0, 1, 1)),
    "dilated convolution": (lambda x: tf.nn.convolution(x, KERNEL, padding="SAME", dilations=2), (0, 1, 1)),
    "transposed convolution": (
        lambda x: tf.nn.conv2d_transpose(x, tf.ones((2, 2, 3, 2)), [tf.shape(x)[0], 8, 12, 3], 2),
        (0, 1, 1),
    ),
    "pooling": (lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"), (0, 1, 1)),
    "resize": (lambda x: tf.image.resize(x, (8, 3)), (0, 1, 1)),
    "convolution of another axis first": (
        lambda x: tf.nn.conv2d(tf.transpose(x, [1, 0, 2, 3]), KERNEL, 1, "SAME"),
        None,
    ),
    # merged and parted again
    "merged": (lambda x: tf.reshape(x, (-1, 6, 2)), (0, 1, 4)),
    "merged with two axes": (lambda x: tf.reshape(x, (-1, 2)), (0, 1, 24)),
    "merged and multiplied": (lambda x: tf.tensordot(tf.reshape(x, (-1, 6, 2)), MATRIX, 1), (0, 1, 4)),
    "parted by half": (
        lambda x: tf.reshape(tf.reshape(x, (-1, 2)), (tf.shape(x)[0] * 2, -1, 2)),
        (0, 1, 2),
    ),
    "merged and convolved": (lambda x: tf.nn.relu(tf.reshape(x, (-1, 2, 3, 2))), (0, 1, 4)),
    "merged, from half of an axis": (lambda x: tf.reshape(x, (-1, 2, 6, 2)), (0, 1, 2)),
    "merged and parted": (lambda x: tf.reshape(tf.reshape(x, (-1, 2)) @ MATRIX, (-1, 4, 6, 3)), (0, 1, 1)),
    "windows": (
        lambda x: tf.reshape(tf.transpose(tf.reshape(x, (-1, 2, 2, 2, 3, 2)), [0, 1, 3, 2, 4, 5]), (-1, 6, 2)),
        (0, 1, 4),
    ),
    "merged with an axis before": (lambda x: tf.reshape(tf.transpose(x, [1, 0, 2, 3]), (-1, 6, 2)), (0, 4, 1)),
    "merged between two axes": (lambda x: tf.reshape(tf.transpose(x, [1, 0, 2, 3]), (-1, 2)), (0, 4, 6)),
    "the batch in the middle": (lambda x: tf.reshape(tf.transpose(x, [1, 0, 2, 3]), (4, -1, 2)), (1, 1, 6)),
    "flattened": (lambda x: tf.reshape(x, (tf.shape(x)[0], -1)), (0, 1, 1)),
    "parts that cut examples": (lambda x: tf.reshape(x, (-1, 36)), None),
    # axes moved, added, removed
    "transposed": (lambda x: tf.transpose(x, [2, 3, 0, 1]), (2, 1, 1)),
    "new axes": (lambda x: tf.expand_dims(tf.expand_dims(x, 0), -1), (1, 1, 1)),
    "squeezed": (lambda x: tf.squeeze(tf.reduce_sum(x, 1, keepdims=True), 1), (0, 1, 1)),
    "stacked and unstacked": (lambda x: tf.unstack(tf.stack([x, 2.0 * x], 0), axis=3)[1], (1, 1, 1)),
    "a time step": (lambda x: tf.transpose(x, [1, 0, 2, 3])[2], (0, 1, 1)),
    "all kinds of slices": (lambda x: x[..., tf.newaxis, 1:, 0, tf.newaxis][:, 2], (0, 1, 1)),
    "a new axis before": (lambda x: x[tf.newaxis, :, ::2, ..., 1], (1, 1, 1)),
    "part of the batch": (lambda x: x[:2], None),
    "one example": (lambda x: x[0], None),
    "slice": (lambda x: tf.slice(x, [0, 1, 0, 0], [-1, 2, 6, 1]), (0, 1, 1)),
    "split": (lambda x: tf.split(x, 2, 2)[1], (0, 1, 1)),
    "uneven split": (lambda x: tf.split(x, [1, 3], 1)[1], (0, 1, 1)),
    "padded": (lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 0], [0, 2]]), (0, 1, 1)),
    "padded batch": (lambda x: tf.pad(x, [[0, 1], [0, 0], [0, 0], [0, 0]]), None),
    # joined
    "channels concatenated": (lambda x: tf.concat([x, tf.ones_like(x), 2.0 * x], -1), (0, 1, 1)),
    "a class token": (
        lambda x: tf.concat([tf.broadcast_to(tf.ones((1, 1, 2)), [tf.shape(x)[0], 1, 2]), x[:, 0]], 1),
        (0, 1, 1),
    ),
    "two views concatenated": (lambda x: tf.concat([x, 2.0 * x], 0), (0, 2, 1)),
    "two views of merged patches": (lambda x: tf.concat([tf.reshape(x, (-1, 6, 2))] * 2, 0), (0, 2, 4)),
    "views split again": (lambda x: tf.split(tf.nn.relu(tf.concat([x, 2.0 * x], 0)), 2)[1], (0, 1, 1)),
    "a batch and a constant": (lambda x: tf.concat([x, tf.ones((1, 4, 6, 2))], 0), None),
    "tiled": (lambda x: tf.tile(x, [3, 1, 2, 1]), (0, 3, 1)),
    "each repeated": (lambda x: tf.repeat(x, 3, axis=0), (0, 1, 3)),
    "rows repeated": (lambda x: tf.repeat(x, 3, axis=1), (0, 1, 1)),
    "repeated": (lambda x: tf.reshape(tf.tile(x[:, None], [1, 3, 1, 1, 1]), (-1, 4, 6, 2)), (0, 1, 3)),
    "space to batch": (lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]]), (0, 4, 1)),
    "and back": (
        lambda x: tf.batch_to_space(tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]]), [2, 2], [[0, 0], [0, 0]]),
        (0, 1, 1),
    ),
    # looked up, reduced, multiplied
    "rows gathered": (lambda x: tf.gather(x, [0, 2], axis=1), (0, 1, 1)),
    "gathered before the batch": (lambda x: tf.gather(tf.transpose(x, [1, 0, 2, 3]), [[0, 2]], axis=0), (2, 1, 1)),
    "gathered examples": (lambda x: tf.gather(x, [1, 0, 2]), None),
    "each example gathered by its own": (
        lambda x: tf.gather(x, tf.argmax(x[:, :, 0, 0], 1)[:, None], batch_dims=1),
        (0, 1, 1),
    ),
    "embedded": (lambda x: tf.gather(TABLE, tf.cast(tf.round(4.0 + x[:, :, 0, 0]), tf.int32)), (0, 1, 1)),
    "one hot": (lambda x: tf.one_hot(tf.argmax(x, -1), 2, axis=0) + tf.reduce_sum(x, -1), (1, 1, 1)),
    "one hot last": (lambda x: tf.one_hot(tf.argmax(x, -1), 2), (0, 1, 1)),
    "reduced": (lambda x: tf.reduce_max(tf.reduce_mean(x, 1, keepdims=True), -1), (0, 1, 1)),
    "reduced before the batch": (lambda x: tf.reduce_sum(tf.transpose(x, [1, 0, 2, 3]), 0), (0, 1, 1)),
    "over the batch": (lambda x: x - tf.reduce_mean(x, 0), None),
    "softmax": (lambda x: tf.nn.softmax(x), (0, 1, 1)),
    "softmax over the batch": (lambda x: tf.nn.softmax(tf.transpose(x)), None),
    "running sum": (lambda x: tf.cumsum(x, 1), (0, 1, 1)),
    "running sum over the batch": (lambda x: tf.cumsum(x, 0), None),
    "mirrored": (lambda x: tf.reverse(x, [2]), (0, 1, 1)),
    "the batch reversed": (lambda x: tf.reverse(x, [0]), None),
    "shifted": (lambda x: tf.roll(x, [1, -1], [1, 2]), (0, 1, 1)),
    "the batch shifted": (lambda x: tf.roll(x, 1, 0), None),
    "best first": (lambda x: tf.math.top_k(x, 1).values, (0, 1, 1)),
    "a product": (lambda x: tf.reduce_sum(x, [1, 2]) @ MATRIX, (0, 1, 1)),
    "a product of transposed": (lambda x: tf.matmul(MATRIX, tf.reduce_sum(x, [1, 2]), True, True), (1, 1, 1)),
    "attention": (lambda x: tf.matmul(x, x, transpose_b=True) @ x, (0, 1, 1)),
    "products with a constant": (lambda x: tf.matmul(x, tf.ones((1, 4, 2, 3))), (0, 1, 1)),
    "examples against examples": (
        lambda x: tf.matmul(tf.reshape(x, (-1, 48)), tf.reshape(x, (-1, 48)), transpose_b=True),
        None,
    ),
    "einsum": (lambda x: tf.einsum("bhwc,cd->hbwd", x, MATRIX), (1, 1, 1)),
    "einsum over the batch": (lambda x: tf.einsum("bhwc,bhwd->cd", x, x), None),
    "tensordot": (lambda x: tf.tensordot(x, MATRIX, 1), (0, 1, 1)),
    "an operation without a rule": (lambda x: tf.math.unsorted_segment_sum(x, tf.range(tf.shape(x)[0]), 3), None),
}


def graph_of(function: Callable[[Any], Any], shape: tuple[Any, ...]) -> Any:
    return tf.function(function, [tf.TensorSpec(shape)], autograph=False).get_concrete_function()


def found(function: Callable[[Any], Any], shape: tuple[Any, ...] = (None, *SHAPE)) -> BatchAxis | None:
    graph = graph_of(function, shape).graph
    trace: Any = SimpleNamespace(inputs=graph.inputs[:1], calls=[], batch_axes=None)
    return batch_axes(trace)[graph.outputs[0].op.inputs[0].ref()]


def entries_of_the_second_example(function: Callable[[Any], Any], axis: int) -> set[int]:
    """Those along an axis that change when the second of three examples does."""
    other = X.copy()
    other[1] = RNG.normal(size=SHAPE)
    difference = np.abs(function(tf.constant(X)).numpy() - function(tf.constant(other)).numpy())
    return set(np.flatnonzero(np.moveaxis(difference, axis, 0).reshape(difference.shape[axis], -1).max(1)))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("batch", [None, 3])
def test_against_what_changes(name: str, batch: int | None) -> None:
    function, want = CASES[name]
    got = found(function, (batch, *SHAPE))
    if batch is None:  # of a known size, axes of other meanings may have it, too
        assert got == (None if want is None else BatchAxis(*want))
    if got is not None:
        entries = {(o * 3 + 1) * got.inner + i for o in range(got.outer) for i in range(got.inner)}
        assert entries_of_the_second_example(function, got.axis) == entries


@pytest.mark.parametrize(
    ("function", "want"),
    [
        (lambda x: tf.reshape(x, (-1, 6, 2)), BatchAxis(0, 1, None)),
        (lambda x: tf.reshape(tf.reshape(x, (-1, 6, 2)), (tf.shape(x)[0], -1, 6, 2)), BatchAxis(0)),
        (lambda x: tf.reshape(x, tf.concat([tf.shape(x)[:2], [3, 4]], 0)), BatchAxis(0)),
        (lambda x: tf.reshape(x, (tf.shape(x)[0], tf.shape(x)[1], 12)), BatchAxis(0)),
        (lambda x: tf.reshape(x, (tf.shape(x)[1], tf.shape(x)[0], 12)), None),
        (lambda x: tf.repeat(x, 2, axis=1), BatchAxis(0)),
        (lambda x: tf.tensordot(x, MATRIX, 1), BatchAxis(0)),
        (lambda x: tf.reshape(x, (tf.shape(x)[1] * tf.shape(x)[0], 6, 2)), BatchAxis(0, 1, None)),
        (lambda x: tf.reshape(x, tf.gather(tf.shape(x), [0, 1, 3, 2])), BatchAxis(0)),
        (lambda x: tf.reshape(x, [tf.reduce_prod(tf.shape(x)[:2]), 6, 2]), BatchAxis(0, 1, None)),
        (lambda x: tf.reshape(x, [2 * tf.gather(tf.shape(x), 0), -1, 2]), BatchAxis(0, 1, 2)),
        (lambda x: tf.reshape(tf.reshape(x, [tf.shape(x)[0] * 4, -1, 2]), [-1, 6, 2]), BatchAxis(0, 1, None)),
        (lambda x: tf.reshape(x, [2 * tf.shape(x)[0] // 2, -1, 2]), BatchAxis(0)),
        (lambda x: tf.reshape(x, [tf.shape(x)[0] // 2 * 2, -1, 2]), None),
        (lambda x: tf.reshape(x, tf.slice(tf.concat([[7], tf.shape(x)], 0), [1], [4])), BatchAxis(0)),
        (lambda x: tf.reshape(x, tf.cast(tf.cast(tf.shape(x), tf.int64), tf.int32)), BatchAxis(0)),
    ],
)
def test_of_unknown_sizes(function: Callable[[Any], Any], want: BatchAxis | None) -> None:
    assert found(function, (None, None, 6, 2)) == want


def test_every_rule_is_tested() -> None:
    used = {
        op.type for function, _ in CASES.values() for op in graph_of(function, (None, *SHAPE)).graph.get_operations()
    }
    moving = {kind for kind, rule in RULES.items() if rule is not RULES["Relu"] and rule is not RULES["MaxPool"]}
    rare = {"All", "Any", "ArgMin", "BatchMatMulV3", "Conv3DBackpropInputV2", "Cumprod", "EuclideanNorm", "LogSoftmax"}
    rare |= {"Min", "MirrorPad", "Prod", "ResourceGather", "BatchToSpaceND", "SpaceToBatchND", "PadV2"}
    assert moving - used <= rare


def kinds_of_layers() -> Any:
    """Layers of Keras whose operations have no rules, or unknown sizes, and that keep the batch nevertheless."""
    clip = keras.Input((None, 12, 12, 2))
    frame = keras.Sequential([keras.Input((12, 12, 2)), L.Conv2D(3, 3), L.GlobalAveragePooling2D()])
    each = L.TimeDistributed(frame, name="each")(clip)
    memory = L.LSTM(4, return_sequences=True, name="memory")(each)
    film = L.ConvLSTM2D(3, 3, padding="same", return_sequences=True, name="film")(clip)
    dense = L.Dense(5, name="dense")(film)
    attention = L.MultiHeadAttention(2, 4, name="attention")(memory, memory)
    return keras.Model(clip, [L.Conv1D(3, 2, padding="same", name="conv")(attention), dense])


def test_layers_of_keras_keep_the_batch() -> None:
    model = kinds_of_layers()
    trace = trace_model(model, model_inputs(model))
    kept = {call.path: has_row_per_example(call.outputs, trace) for call in trace.calls}
    assert {path for path, is_kept in kept.items() if is_kept} >= {"each", "memory", "film", "dense", "conv"}


def test_functions_in_a_functional_model() -> None:
    views = keras.Input((4, 8, 8, 2))
    maps = L.Conv2D(3, 3, name="conv")(ops.reshape(views, (-1, 8, 8, 2)))
    joined = ops.max(ops.reshape(maps, (-1, 4, 6, 6, 3)), axis=1)
    model = keras.Model(views, L.Dense(2)(L.Flatten(name="flatten")(joined)))
    trace = trace_model(model, model_inputs(model))
    batches = {call.path: batch_axes(trace)[call.tensor.ref()] for call in trace.calls}
    assert batches["conv"] == BatchAxis(0, 1, 4)
    assert batches["flatten"] == BatchAxis(0)
