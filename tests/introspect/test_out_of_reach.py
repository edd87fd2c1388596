"""Layers that run once for each element, of which only the first can be seen: refused, however they are selected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from keras import ops
from support import oracle
from support.model_kinds import images

import visualcnn_tf as vc
from visualcnn_tf.errors import NoFeatureMapError

X = images(2, 5, 8, 8, 3)


def net() -> Any:
    layers = [L.Conv2D(4, 3, activation="relu", name="c"), L.Conv2D(5, 3, activation="relu", name="d")]
    return keras.Sequential([keras.Input((8, 8, 3)), *layers, L.GlobalAveragePooling2D()], name="net")


class Each(L.Layer):
    """Runs a network on each patch of ``(B, N, 8, 8, 3)``."""

    def __init__(self, run: Callable[[Any, Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self.run, self.net = run, net()

    def call(self, x: Any) -> Any:
        return ops.swapaxes(self.run(self.net, ops.swapaxes(x, 0, 1)), 0, 1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape[:2], 5)


def loop(function: Any, elements: Any) -> Any:
    """Learns the shape from the first element, and runs all in a loop."""
    first = function(elements[0])
    found = tf.TensorArray(first.dtype, tf.shape(elements)[0], element_shape=first.shape)
    steps = tf.shape(elements)[0]
    _, found = tf.while_loop(
        lambda i, _: i < steps, lambda i, array: (i + 1, array.write(i, function(elements[i]))), (0, found)
    )
    return found.stack()


def of_pairs(function: Any, elements: Any) -> Any:
    """Maps over several tensors at once."""
    return tf.vectorized_map(lambda pair: function(pair[0] + pair[1]), (elements, tf.zeros_like(elements)))


MAPS = [ops.map, ops.vectorized_map, tf.map_fn, tf.vectorized_map, loop, of_pairs]


def of_patches(run: Callable[[Any, Any], Any], stem: bool = False) -> Any:
    patches = keras.Input((5, 8, 8, 3))
    x = L.TimeDistributed(L.Conv2D(3, 3, padding="same", name="stem"), name="stems")(patches) if stem else patches
    features = Each(run, name="each")(x)
    return keras.Model(patches, L.Dense(2)(L.GlobalMaxPooling1D()(features)), name="of_patches")


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("run", MAPS)
def test_layers_inside_of_a_map_are_refused(run: Callable[[Any, Any], Any]) -> None:
    model = of_patches(run)
    for layers in ("c", "each/net/d", "*c", "each/*", None, "stages", "last", ["last", "*c"]):
        with pytest.raises(NoFeatureMapError, match=r"`layers`.*'each/net/[cd]'.*merge.*into the batch by a reshape"):
            vc.attach(model, layers, size=(8, 8))


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("run", MAPS)
def test_no_earlier_layer_is_taken_for_the_last(run: Callable[[Any, Any], Any]) -> None:
    model = of_patches(run, stem=True)
    for layers in ("last", "stages", None, "*"):
        with pytest.raises(NoFeatureMapError, match=r"'each/net/c' can't be: it runs .* Or name the layers to explain"):
            vc.attach(model, layers)
    heatmap = vc.attach(model, "stem").predict(X, verbose=0)["heatmap_stems_stem"]
    truth = model.get_layer("stems").layer(X.reshape(-1, 8, 8, 3)).numpy()
    want = oracle.heatmap(truth, "deviation", (8, 8), "bilinear", "minmax").reshape(2, 5, 8, 8)
    np.testing.assert_allclose(heatmap, want, atol=1e-5)


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("layers", ["time_distributed/net/d", "*d", None, "conv", "stages", "last"])
def test_time_distributed_with_unknown_steps(layers: Any) -> None:
    keras.utils.set_random_seed(0)
    frame, clip = net(), keras.Input((None, 8, 8, 3))
    each = L.TimeDistributed(frame, name="time_distributed")(clip)
    model = keras.Model(clip, L.Dense(3)(L.LSTM(4)(each)))
    with pytest.raises(NoFeatureMapError, match=r"unknown number of steps; give .* or pass `input_shape`"):
        vc.attach(model, layers)
    explained = vc.attach(model, layers, input_shape=(5, 8, 8, 3))
    got = explained.predict(X, verbose=0)["heatmap_time_distributed_net_d"]
    one = vc.attach(frame, "d").predict(X.reshape(-1, 8, 8, 3), verbose=0)["heatmap_d"]
    np.testing.assert_allclose(got, one.reshape(2, 5, 8, 8), atol=1e-6)


def test_what_follows_a_map_is_explained() -> None:
    """Of a map whose elements are feature maps, joined and convolved again."""
    keras.utils.set_random_seed(0)
    conv = L.Conv2D(3, 3, padding="same", activation="relu")
    views = keras.Input((None, 8, 8, 3))
    joined = L.Lambda(lambda x: ops.max(x, 1))(L.TimeDistributed(conv)(views))
    last = L.Conv2D(4, 3, activation="relu", name="joint")
    model = keras.Model(views, L.Dense(2)(L.GlobalAveragePooling2D()(last(joined))))
    got = vc.attach(model, "joint", size=None).predict(X, verbose=0)["heatmap_joint"]
    truth = last(conv(X.reshape(-1, 8, 8, 3)).numpy().reshape(2, 5, 8, 8, 3).max(1)).numpy()
    np.testing.assert_allclose(got, oracle.heatmap(truth, "deviation", None, "bilinear", "minmax"), atol=1e-5)


def test_a_layer_that_runs_in_a_map_and_outside_of_it() -> None:
    """Its first call in the model's graph may be that on the first element, so none is taken."""

    class Both(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.dense = net(), L.Dense(2)

        def call(self, x: Any) -> Any:
            whole = self.net(x[:, 0])
            return self.dense(whole + ops.max(ops.map(self.net, ops.swapaxes(x, 0, 1)), 0))

    model = Both()
    model(X)
    with pytest.raises(NoFeatureMapError, match="'net/c': it runs inside a loop"):
        vc.attach(model, "net/c", size=(8, 8))


def test_a_cell_of_a_recurrent_layer() -> None:
    clip = keras.Input((4, 8, 8, 2))
    model = keras.Model(clip, L.Flatten()(L.ConvLSTM2D(3, 3, name="memory")(clip)))
    cell = f"memory/{model.get_layer('memory').cell.name}"
    with pytest.raises(NoFeatureMapError, match=f"can't tap '{cell}'"):
        vc.attach(model, cell, size=None)
    assert [tap.path for tap in vc.attach(model, "memory*", size=None).taps] == ["memory"]


def test_a_placeholder_of_the_model_itself_is_no_loop() -> None:
    class Switched(L.Layer):
        def call(self, x: Any) -> Any:
            if hasattr(x, "op"):
                x = x * tf.compat.v1.placeholder_with_default(tf.constant(2.0), ())
            return x

    image = keras.Input((8, 8, 3))
    maps = L.Conv2D(3, 3, name="conv")(Switched()(image))
    model = keras.Model(image, L.Flatten()(maps))
    assert [tap.path for tap in vc.attach(model, "conv").taps] == ["conv"]


@pytest.mark.parametrize("pattern", ["act*", "clips/frame/norm", "*norm"])
def test_a_pattern_that_means_none_but_other_layers_says_why(pattern: str) -> None:
    image = keras.Input((8, 8, 3))
    maps = L.ReLU(name="act")(L.BatchNormalization(name="norm")(L.Conv2D(2, 3, name="c")(image)))
    frame = keras.Model(image, L.GlobalAveragePooling2D()(maps), name="frame")
    clip = keras.Input((None, 8, 8, 3))
    model = keras.Model(clip, L.Dense(2)(L.LSTM(3)(L.TimeDistributed(frame, name="clips")(clip))))
    with pytest.raises(NoFeatureMapError, match="unknown number of steps"):
        vc.attach(model, pattern, size=None)
