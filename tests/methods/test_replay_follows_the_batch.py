"""Replays of models that merge windows, views or patches into the batch, or have tensors without a batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from keras import ops
from support.model_kinds import images
from support.naive_replay import Naive
from support.oracle import assert_close

import visualcnn_tf as vc
from visualcnn_tf.errors import NoFeatureMapError
from visualcnn_tf.export.tflite_interpreter import interpreter

METHODS = ["reciprocam", "ablationcam", "scorecam"]
BATCH = 3


@keras.saving.register_keras_serializable(package="test_replay")
class Windows(L.Layer):
    """Attention inside of windows of 2×2 positions, as in Swin: ``(B · windows, 4, C)``."""

    def build(self, shape: Any) -> None:
        self.size = shape[1:]
        self.qkv, self.out = L.Dense(3 * shape[-1], name="qkv"), L.Dense(shape[-1], activation="tanh", name="out")
        self.qkv.build((None, 4, shape[-1]))
        self.out.build((None, 4, shape[-1]))
        self.positions = self.add_weight(shape=(4, 4), initializer="random_normal", name="positions")

    def call(self, maps: Any) -> Any:
        h, w, c = self.size
        parts = ops.transpose(ops.reshape(maps, (-1, h // 2, 2, w // 2, 2, c)), (0, 1, 3, 2, 4, 5))
        q, k, v = ops.split(self.qkv(ops.reshape(parts, (-1, 4, c))), 3, axis=-1)
        weights = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 2, 1))) + self.positions)
        parts = ops.reshape(self.out(ops.matmul(weights, v)), (-1, h // 2, w // 2, 2, 2, c))
        return maps + ops.reshape(ops.transpose(parts, (0, 1, 3, 2, 4, 5)), (-1, h, w, c))


@keras.saving.register_keras_serializable(package="test_replay")
class Positions(L.Layer):
    """A table ``(3, 1, C)`` whose first size is that of the batch, or ``(1, ..., C)``."""

    def __init__(self, shape: Any, **options: Any) -> None:
        super().__init__(**options)
        self.shape = tuple(shape)

    def build(self, _: Any) -> None:
        self.table = self.add_weight(shape=self.shape, initializer="random_normal", name="table")

    def call(self, _: Any) -> Any:
        return 3.0 * ops.convert_to_tensor(self.table)

    def get_config(self) -> Any:
        return {**super().get_config(), "shape": self.shape}


@keras.saving.register_keras_serializable(package="test_replay")
class Pair(L.Layer):
    """Returns two tensors."""

    def call(self, x: Any) -> Any:
        return ops.relu(x), ops.mean(x, (1, 2))


@keras.saving.register_keras_serializable(package="test_replay")
class Unusual(L.Layer):
    """Keeps the batch by an operation of which nothing is known."""

    def call(self, x: Any) -> Any:
        return tf.ensure_shape(tf.gather_nd(x, tf.range(tf.shape(x)[0])[:, None]), (None, *x.shape[1:]))

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def conv(filters: int, name: str, **options: Any) -> Any:
    return L.Conv2D(filters, 3, padding="same", activation="tanh", name=name, **options)


def head(x: Any) -> Any:
    return L.Dense(3)(L.Dense(4, activation="tanh")(L.Flatten()(x)))


def windows() -> Any:
    image = keras.Input((8, 8, 2))
    x = Windows(name="before")(conv(4, "stem")(image))
    x = Windows(name="after")(conv(4, "middle", strides=2)(x))
    return keras.Model(image, head(x)), images(BATCH, 8, 8, 2), ["before", "middle"]


def views_before_and_patches_after() -> Any:
    views = keras.Input((2, 8, 8, 2))
    each = conv(4, "each")(ops.reshape(views, (-1, 8, 8, 2)))
    joint = conv(4, "joint")(ops.max(ops.reshape(each, (-1, 2, 8, 8, 4)), axis=1))
    patches = ops.reshape(ops.transpose(ops.reshape(joint, (-1, 2, 4, 2, 4, 4)), (0, 1, 3, 2, 4, 5)), (-1, 4, 4, 4))
    found = ops.reshape(L.GlobalMaxPooling2D()(conv(3, "patch")(patches)), (-1, 12))
    # What was seen in the views goes around the tapped layer.
    around = ops.reshape(L.GlobalMaxPooling2D()(each), (-1, 8))
    return keras.Model(views, head(L.Concatenate()([found, around]))), images(BATCH, 2, 8, 8, 2), ["joint"]


def views_concatenated() -> Any:
    views = keras.Input((2, 8, 8, 2))
    each = conv(4, "each")(ops.concatenate([views[:, 0], views[:, 1]], 0))
    first, second = ops.split(each, 2, axis=0)
    joint = conv(4, "joint")(L.Subtract()([first, second]))
    both = conv(3, "both")(ops.concatenate([joint, first], 0))
    return keras.Model(views, head(L.Add()(ops.split(both, 2, axis=0)))), images(BATCH, 2, 8, 8, 2), ["joint"]


def tables_of_the_batch_s_size() -> Any:
    image = keras.Input((BATCH, 6, 2))
    x = conv(4, "stem")(image) + Positions((BATCH, 6, 4), name="rows")(image)
    x = conv(4, "middle", strides=(1, 2))(x)
    x = x * Positions((BATCH, 1, 4), name="table")(image) + Positions((1, BATCH, 3, 4), name="single")(image)
    return keras.Model(image, head(x)), images(BATCH, BATCH, 6, 2), ["stem", "middle"]


def pairs() -> Any:
    image = keras.Input((6, 6, 2))
    maps, pooled = Pair(name="pair")(conv(4, "stem")(image))
    x = L.Flatten()(conv(3, "middle")(maps))
    return keras.Model(image, head(L.Concatenate()([x, pooled]))), images(BATCH, 6, 6, 2), ["middle"]


def unusual_operations() -> Any:
    image = keras.Input((6, 6, 2))
    x = conv(4, "middle")(Unusual(name="before")(conv(3, "stem")(image)))
    return keras.Model(image, head(Unusual(name="after")(x))), images(BATCH, 6, 6, 2), ["stem", "middle"]


def frames_with_unknown_steps() -> Any:
    clip = keras.Input((None, 8, 8, 2))
    each = L.TimeDistributed(conv(3, "each"))(clip)
    joint = conv(4, "joint")(L.Lambda(lambda x: ops.max(x, 1), output_shape=(8, 8, 3))(each))
    return keras.Model(clip, head(joint)), images(BATCH, 4, 8, 8, 2), ["joint"]


MODELS: dict[str, Callable[[], Any]] = {
    each.__name__: each
    for each in (
        *(windows, views_before_and_patches_after, views_concatenated, tables_of_the_batch_s_size),
        *(pairs, unusual_operations, frames_with_unknown_steps),
    )
}


def methods_for(x: np.ndarray) -> list[str]:
    """Score-CAM masks images: not views."""
    return METHODS if x.ndim == 4 else METHODS[:2]


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("name", MODELS)
def test_equals_the_naive_loop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keras.utils.set_random_seed(1)
    model, x, layers = MODELS[name]()
    explained = vc.attach(model, layers, method=methods_for(x), size=None, normalize=None)
    outputs = explained(x)
    naive = Naive(model, x, {layer: (layer, 0) for layer in layers}, outputs["explained_class"])
    monkeypatch.setattr("visualcnn_tf.pipeline.replay._MAPS_AT_A_TIME", 300)
    chunked = vc.attach(model, layers, method=methods_for(x), size=None, normalize=None)(x)
    one_by_one = [explained(x[i : i + 1]) for i in range(BATCH)]
    for layer in layers:
        for method in methods_for(x):
            key = f"heatmap_{layer}_{method}"
            want = naive.maps(layer, method)
            assert np.ptp(want) > 0
            assert_close(outputs[key], want, 5e-5)
            assert_close(chunked[key], want, 5e-5)
            assert_close(np.concatenate([one[key] for one in one_by_one]), want, 5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("build", [windows, tables_of_the_batch_s_size])
def test_saved_exported_and_compiled(build: Callable[[], Any], tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model, x, _ = build()
    explained = vc.attach(model, "middle", method=["reciprocam", "ablationcam"], size=None, normalize=None)
    want = explained.predict(x, verbose=0)
    explained.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.plan.reusable_calls == explained.plan.reusable_calls
    again, compiled = loaded.predict(x, verbose=0), tf.function(explained, jit_compile=True)(x)
    vc.export_saved_model(explained, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served").signatures["serving_default"](tf.constant(x))
    vc.export_tflite(explained, tmp_path / "m.tflite")
    runner = interpreter((tmp_path / "m.tflite").read_bytes()).get_signature_runner("serving_default")
    [argument] = runner.get_input_details()
    lite = [runner(**{argument: one[None]}) for one in x]
    for key, value in want.items():
        np.testing.assert_allclose(again[key], value, atol=1e-6, err_msg=key)
        np.testing.assert_allclose(compiled[key], value, atol=1e-4, err_msg=key)
        np.testing.assert_allclose(served[key], value, atol=1e-5, err_msg=key)
        np.testing.assert_allclose(np.concatenate([one[key] for one in lite]), value, atol=1e-4, err_msg=key)


def test_only_calls_with_one_row_for_each_example_are_reused() -> None:
    model, _, _ = windows()
    reused = {path for path, _ in vc.attach(model, "middle", method="reciprocam").plan.reusable_calls}
    assert {"stem", "before", "middle", "after"} <= reused
    assert not {"before/qkv", "before/out", "after/qkv"} & reused
    model, _, _ = tables_of_the_batch_s_size()
    reused = {path for path, _ in vc.attach(model, "middle", method="reciprocam").plan.reusable_calls}
    assert not {"rows", "table", "single"} & reused


def test_a_model_for_batches_of_one_size_is_refused() -> None:
    image = keras.Input(batch_shape=(2, 6, 6, 2))
    maps = L.Conv2D(3, 3, name="maps")(image)
    model = keras.Model(image, L.Dense(2)(ops.reshape(maps, (2, 48))))
    with pytest.raises(NoFeatureMapError, match=r"runs the model on larger batches.* takes batches of 2 only"):
        vc.attach(model, "maps", method="reciprocam")
    free = keras.Model(image, L.Dense(2)(L.Flatten()(maps)))
    assert vc.attach(free, "maps", method="reciprocam")(images(2, 6, 6, 2))["heatmap_maps"].shape == (2, 6, 6)
