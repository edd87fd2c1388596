"""Methods that run the model again, against the naive loop: change, run, score, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.model_kinds import Subclassed, backbone, images
from support.naive_replay import Naive
from support.oracle import assert_close

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.methods.channels import weighted_maps

METHODS = ["reciprocam", "scorecam", "ablationcam"]
WITH_MAX_CHANNELS = ["scorecam", "ablationcam"]
X = images(2, 8, 8, 2)

# Each returns the model, its inputs, and what is tapped: for each path the layer's name and which of its calls.
Case = tuple[Any, Any, dict[str, tuple[str, int]]]


def chain() -> Case:
    layers = [L.Conv2D(4, 3, padding="same", activation="relu", name="first"), L.MaxPooling2D(name="pool")]
    head = [L.Conv2D(3, 3, name="second"), L.Flatten(), L.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((8, 8, 2)), *layers, *head]), X, {"first": ("first", 0), "pool": ("pool", 0)}


def beside_a_skip() -> Case:
    """No tap is all that the score sees: a skip connection and a concatenation go around them."""
    image = keras.Input((8, 8, 2))
    stem = L.Conv2D(3, 3, padding="same", activation="relu", name="stem")(image)
    inner = L.Conv2D(3, 3, padding="same", activation="relu", name="inner")(stem)
    added = L.Add()([stem, inner])
    side = L.Conv2D(2, 3, padding="same", name="side")(added)
    joined = L.Concatenate()([added, side, stem])
    output = L.Dense(3, activation="softmax")(L.Flatten()(L.Conv2D(2, 3, activation="tanh", name="last")(joined)))
    return keras.Model(image, output), X, {name: (name, 0) for name in ("inner", "side", "stem")}


def nested() -> Case:
    image = keras.Input((12, 12, 2))
    model = keras.Model(image, L.Dense(3)(L.Flatten()(L.Activation("tanh")(backbone()(image)))))
    taps = {"backbone/inner_conv": ("inner_conv", 0), "backbone/deep/deep_conv": ("deep_conv", 0)}
    return model, images(2, 12, 12, 2), taps


def shared() -> Case:
    conv, image = L.Conv2D(2, 3, padding="same", activation="tanh", name="shared"), keras.Input((8, 8, 2))
    output = L.Dense(3)(L.Flatten()(conv(conv(image))))
    return keras.Model(image, output), X, {"shared": ("shared", 0), "shared_2": ("shared", 1)}


def subclassed() -> Case:
    model = Subclassed()
    model(X)
    return model, X, {"block/block_conv": ("block_conv", 0)}


def one_sigmoid() -> Case:
    layers = [L.Conv2D(3, 3, name="conv2", activation="relu"), L.Flatten(), L.Dense(1, activation="sigmoid")]
    return keras.Sequential([keras.Input((8, 8, 2)), *layers]), X, {"conv2": ("conv2", 0)}


def two_inputs() -> Case:
    meta, image = keras.Input((5,), name="meta"), keras.Input((8, 8, 2), name="image")
    features = L.Flatten()(L.Conv2D(3, 3, activation="relu", name="conv2")(image))
    joined = L.Concatenate()([L.Dense(4, activation="tanh")(meta), features])
    hidden = L.Dense(4, activation="tanh")(joined)
    return keras.Model([meta, image], L.Dense(3)(hidden)), [images(2, 5), X], {"conv2": ("conv2", 0)}


def channels_first() -> Case:
    image = keras.Input((2, 8, 8))
    conv = L.Conv2D(3, 3, data_format="channels_first", activation="relu", name="conv2")
    # Eager TensorFlow pools and convolves channels last only on the CPU: this head does neither.
    model = keras.Model(image, L.Dense(3)(L.Flatten()(conv(image))))
    return model, np.moveaxis(X, -1, 1), {"conv2": ("conv2", 0)}


def signals() -> Case:
    layers = [L.Conv1D(3, 3, name="conv2", activation="relu"), L.Flatten(), L.Dense(3, activation="tanh"), L.Dense(3)]
    return keras.Sequential([keras.Input((12, 2)), *layers]), images(2, 12, 2), {"conv2": ("conv2", 0)}


def global_pooling() -> Case:
    layers = [L.Conv2D(3, 3, name="conv2", activation="relu"), L.GlobalAveragePooling2D(), L.Dense(3)]
    return keras.Sequential([keras.Input((8, 8, 2)), *layers]), X, {"conv2": ("conv2", 0)}


def global_pooling_that_keeps_axes() -> Case:
    image = keras.Input((8, 7, 2))
    pooled = L.GlobalAveragePooling2D(keepdims=True)(L.Conv2D(3, 3, activation="relu", name="conv2")(image))
    hidden = L.Conv2D(4, 1, activation="tanh")(pooled)
    return keras.Model(image, L.Dense(3)(L.Flatten()(hidden))), images(2, 8, 7, 2), {"conv2": ("conv2", 0)}


def global_pooling_channels_first() -> Case:
    image = keras.Input((2, 8, 8))
    x = L.Conv2D(3, 3, data_format="channels_first", activation="relu", name="conv2")(image)
    x = L.GlobalAveragePooling2D(data_format="channels_first", keepdims=True)(x)
    return keras.Model(image, L.Dense(3)(L.Flatten()(x))), np.moveaxis(X, -1, 1), {"conv2": ("conv2", 0)}


class PoolsByKeyword(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.conv2, self.pool, self.dense = (
            L.Conv2D(3, 3, activation="relu", name="conv2"),
            L.GlobalAveragePooling2D(),
            L.Dense(3),
        )

    def call(self, image: Any) -> Any:
        return self.dense(self.pool(inputs=self.conv2(image)))


def global_pooling_by_keyword() -> Case:
    model = PoolsByKeyword()
    model(X)
    return model, X, {"conv2": ("conv2", 0)}


def global_pooling_beside_other_readers() -> Case:
    image = keras.Input((8, 8, 2))
    maps = L.Conv2D(3, 3, activation="relu", name="conv2")(image)
    others = [L.GlobalMaxPooling2D()(maps), L.GlobalAveragePooling2D()(L.Conv2D(2, 3, activation="tanh")(maps))]
    joined = L.Concatenate()([L.GlobalAveragePooling2D()(maps), *others])
    return keras.Model(image, L.Dense(3)(joined)), X, {"conv2": ("conv2", 0)}


CASES: dict[str, Callable[[], Case]] = {
    each.__name__: each
    for each in (
        *(chain, beside_a_skip, nested, shared, subclassed, one_sigmoid, two_inputs, channels_first, signals),
        *(global_pooling, global_pooling_that_keeps_axes, global_pooling_channels_first),
        *(global_pooling_by_keyword, global_pooling_beside_other_readers),
    )
}


def attached(model: Any, taps: dict[str, tuple[str, int]], **options: Any) -> Any:
    layers = sorted({path.removesuffix("_2") for path in taps})
    return vc.attach(model, layers, size=None, normalize=None, **options)


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("name", CASES)
def test_equals_the_naive_loop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keras.utils.set_random_seed(1)
    model, inputs, taps = CASES[name]()
    outputs = attached(model, taps, method=METHODS)(inputs)
    naive = Naive(model, inputs, taps, outputs["explained_class"])
    heatmaps = [key for key in outputs if key.startswith("heatmap_")]
    assert len(heatmaps) == 3 * len(taps)
    monkeypatch.setattr("visualcnn_tf.pipeline.replay._MAPS_AT_A_TIME", 500)
    monkeypatch.setattr("visualcnn_tf.pipeline.replay._IMAGES_AT_A_TIME", 100)
    chunked = attached(model, taps, method=METHODS)(inputs)
    for path in taps:
        base = "heatmap_" + path.removesuffix("_2").replace("/", "_")
        for method in METHODS:
            key = f"{base}_{method}{'_2' if path.endswith('_2') else ''}"
            want = naive.maps(path, method)
            assert np.ptp(want) > 0
            assert_close(outputs[key], want)
            assert_close(chunked[key], want)


@pytest.mark.parametrize("space", [(5,), (4, 5), (2, 3, 4)], ids=str)
def test_channels_are_summed_in_maps_of_any_rank(space: tuple[int, ...]) -> None:
    maps, weights = images(2, 3, *space), images(2, 3)
    assert_close(weighted_maps(tf.constant(maps), tf.constant(weights)), np.einsum("bc...,bc->b...", maps, weights))


@pytest.mark.parametrize("size", [2, 64])
def test_chunks_are_loops(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """36 positions in chunks of 2, or at once."""
    model, _, _ = one_sigmoid()
    monkeypatch.setattr("visualcnn_tf.pipeline.replay._MAPS_AT_A_TIME", size * 6 * 6 * 3)
    graph = tf.function(vc.attach(model, "conv2", method="reciprocam")).get_concrete_function(
        tf.TensorSpec((2, 8, 8, 2))
    )
    loops = [op for op in graph.graph.get_operations() if op.type in ("While", "StatelessWhile")]
    assert len(loops) == (size == 2)


def test_pooling_of_other_axes_is_not_pooling_of_positions() -> None:
    """A layer that takes the first spatial axis for the channels, and one that gets it there by a permutation."""
    keras.utils.set_random_seed(1)
    maps, found = L.Conv2D(3, 3, activation="relu", name="conv2"), []
    dense = L.Dense(3)
    for pool in (
        L.GlobalAveragePooling2D(data_format="channels_first"),
        keras.Sequential([L.Permute((2, 3, 1)), L.GlobalAveragePooling2D()]),
    ):
        image = keras.Input((8, 8, 2))
        model = keras.Model(image, dense(pool(maps(image))))
        found.append(attached(model, {"conv2": ("conv2", 0)}, method="reciprocam", target=0)(X)["heatmap_conv2"])
    assert np.ptp(found[1]) > 0
    assert_close(found[0], found[1].numpy())


@pytest.mark.parametrize("method", ["reciprocam", "ablationcam"])
def test_of_what_is_pooled_the_means_are_changed_alone(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visualcnn_tf.pipeline.replay._MAPS_AT_A_TIME", 1)

    def operations(case: Callable[[], Case]) -> list[Any]:
        explained = vc.attach(case()[0], "conv2", method=method)
        graph = tf.function(explained).get_concrete_function(tf.TensorSpec((2, 8, 8, 2))).graph
        found = {output.op for output in graph.outputs}
        left = list(found)
        while left:  # what an output depends on; the rest is not run
            before = {tensor.op for tensor in left.pop().inputs} - found
            found |= before
            left += before
        return list(found)

    def loops(found: list[Any]) -> int:
        return sum(op.type in ("While", "StatelessWhile") for op in found)

    pooled = operations(global_pooling)
    assert loops(pooled) == 0
    assert not [op.name for op in pooled if op.outputs[0].shape.rank == 5]
    assert loops(operations(global_pooling_beside_other_readers)) > 0


@pytest.mark.parametrize("method", WITH_MAX_CHANNELS)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_max_channels(method: str, count: int) -> None:
    keras.utils.set_random_seed(1)
    model, inputs, taps = chain()
    limited = type(vc.methods.get(method))(max_channels=count)
    outputs = attached(model, {"first": taps["first"]}, method=limited)(inputs)
    naive = Naive(model, inputs, taps, outputs["explained_class"])
    assert_close(outputs["heatmap_first"], naive.maps("first", method, count))


@pytest.mark.parametrize("method", WITH_MAX_CHANNELS)
def test_max_channels_of_more_channels_than_rows(method: str) -> None:
    keras.utils.set_random_seed(1)
    layers = [L.Conv2D(6, 3, strides=4, padding="same", activation="relu", name="flat"), L.Flatten(), L.Dense(3)]
    model, taps = keras.Sequential([keras.Input((8, 8, 2)), *layers]), {"flat": ("flat", 0)}
    outputs = attached(model, taps, method=type(vc.methods.get(method))(max_channels=3))(X)
    naive = Naive(model, X, taps, outputs["explained_class"])
    assert_close(outputs["heatmap_flat"], naive.maps("flat", method, 3))
    assert np.abs(outputs["heatmap_flat"] - naive.maps("flat", method)).max() > 0.01


@pytest.mark.slow
def test_xla_predict_and_any_batch() -> None:
    keras.utils.set_random_seed(1)
    model, _, taps = beside_a_skip()
    explained, x = attached(model, taps, method=METHODS), images(3, 8, 8, 2)
    outputs = explained(x)
    compiled = tf.function(explained, jit_compile=True)(x)
    predicted = explained.predict(x, batch_size=2, verbose=0)
    for key, value in outputs.items():
        np.testing.assert_allclose(compiled[key], value, atol=1e-5)
        np.testing.assert_allclose(predicted[key], value, atol=1e-5)
        np.testing.assert_allclose(explained(x[:1])[key], value[:1], atol=1e-5)
        assert explained(x[:0])[key].shape == (0, *value.shape[1:])
    np.testing.assert_array_equal(outputs["predictions"], tf.function(model)(x))


@pytest.mark.parametrize("method", WITH_MAX_CHANNELS)
@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many", True])
def test_max_channels_is_a_count(method: str, wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`max_channels` must be a number of at least 1, or None"):
        type(vc.methods.get(method))(max_channels=wrong)


def test_every_method_with_a_replay_is_tested_here() -> None:
    assert [name for name in vc.methods.NAMES if vc.methods.get(name).needs_replay] == METHODS
    assert [name for name in METHODS if hasattr(vc.methods.get(name), "max_channels")] == WITH_MAX_CHANNELS
