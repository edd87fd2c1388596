"""Views, frames and patches merged into the batch: one heatmap for each, as if each were explained by itself."""

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
from support import oracle, oracle_gradient
from support.model_kinds import images

import visualcnn_tf as vc
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError, NoFeatureMapError
from visualcnn_tf.export.tflite_interpreter import interpreter

V, SIZE = 4, (10, 12)
X = images(3, V, *SIZE, 3)


class Tower:
    """Layers for one view, and for what is pooled from all."""

    def __init__(self) -> None:
        keras.utils.set_random_seed(0)
        self.first = L.Conv2D(4, 3, activation="relu", name="first")
        self.conv = L.Conv2D(5, 3, padding="same", strides=2, activation="relu", name="conv")
        self.pool, self.dense = L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")

    def maps(self, views: Any) -> Any:
        return self.conv(self.first(views))

    def logits(self, pooled: Any) -> Any:
        return ops.matmul(pooled, self.dense.kernel) + self.dense.bias


def merged_by_reshape(tower: Tower) -> Any:
    views = keras.Input((V, *SIZE, 3))
    pooled = tower.pool(tower.maps(ops.reshape(views, (-1, *SIZE, 3))))
    return keras.Model(views, tower.dense(ops.max(ops.reshape(pooled, (-1, V, 5)), axis=1)))


class Joined(L.Layer):
    """The largest of what was found in as many views as there are."""

    def call(self, tensors: Any) -> Any:
        pooled, views = tensors
        return tf.reduce_max(tf.reshape(pooled, (tf.shape(views)[0], -1, 5)), 1)

    def compute_output_shape(self, shapes: Any) -> Any:
        return shapes[0]


def of_unknown_number(tower: Tower) -> Any:
    views = keras.Input((None, *SIZE, 3))
    pooled = tower.pool(tower.maps(ops.reshape(views, (-1, *SIZE, 3))))
    return keras.Model(views, tower.dense(Joined()([pooled, views])))


def one_view_after_another(tower: Tower) -> Any:
    """All first views, then all second views, and so on."""
    views = keras.Input((V, *SIZE, 3))
    pooled = tower.pool(tower.maps(ops.concatenate([views[:, v] for v in range(V)], axis=0)))
    return keras.Model(views, tower.dense(ops.max(ops.stack(ops.split(pooled, V, axis=0), 1), axis=1)))


class OfSteps(keras.Model):
    """A subclassed model that puts the steps before the batch, and merges them."""

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.first, self.conv, self.pool, self.dense = tower.first, tower.conv, tower.pool, tower.dense

    def call(self, views: Any) -> Any:
        steps = ops.reshape(ops.swapaxes(views, 0, 1), (-1, *SIZE, 3))
        pooled = ops.reshape(self.pool(self.conv(self.first(steps))), (V, -1, 5))
        return self.dense(ops.max(pooled, axis=0))


def steps_before_the_batch(tower: Tower) -> Any:
    model = OfSteps(tower)
    model(X)
    return model


class Shuffled(L.Layer):
    """Merges views by an operation that tells nothing of the order."""

    def __init__(self, by_view: bool, **options: Any) -> None:
        super().__init__(**options)
        self.by_view = by_view

    def call(self, views: Any) -> Any:
        count = ops.shape(views)[0]
        rows = tf.range(count * V)
        indices = (rows % count, rows // count) if self.by_view else (rows // V, rows % V)
        return tf.ensure_shape(tf.gather_nd(views, tf.stack(indices, 1)), (None, *SIZE, 3))

    def compute_output_shape(self, shape: Any) -> Any:
        return (None, *shape[2:])


def gathered(tower: Tower, by_view: bool) -> Any:
    views = keras.Input((V, *SIZE, 3))
    pooled = tower.pool(tower.maps(Shuffled(by_view)(views)))
    parts = ops.reshape(pooled, (V, -1, 5) if by_view else (-1, V, 5))
    return keras.Model(views, tower.dense(ops.max(parts, axis=0 if by_view else 1)))


MODELS: dict[str, Callable[[Tower], Any]] = {
    "reshape": merged_by_reshape,
    "unknown number": of_unknown_number,
    "one view after another": one_view_after_another,
    "steps before the batch": steps_before_the_batch,
    "gathered": lambda tower: gathered(tower, by_view=False),
    "gathered by view": lambda tower: gathered(tower, by_view=True),
}


def truth(tower: Tower, x: np.ndarray, classes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Activations and gradients ``(B, V, h, w, C)``, view by view."""
    with tf.GradientTape() as tape:
        maps = [tower.maps(tf.constant(x[:, v])) for v in range(x.shape[1])]
        tape.watch(maps)
        pooled = tf.reduce_max(tf.stack([tf.reduce_mean(a, [1, 2]) for a in maps], 1), 1)
        score = tf.reduce_sum(tf.gather(tower.logits(pooled), classes, batch_dims=1))
    gradients = tape.gradient(score, maps)
    return np.stack([a.numpy() for a in maps], 1), np.stack([g.numpy() for g in gradients], 1)


def expected(
    tower: Tower, x: np.ndarray, method: str, classes: Any = None, size: Any = SIZE, normalize: Any = "minmax"
) -> Any:
    if method == "gradcam":
        a, g = (each.reshape(-1, *each.shape[2:]) for each in truth(tower, x, classes))
        maps = oracle_gradient.heatmap(a, g, method, size, normalize=normalize)
    else:
        maps = oracle.heatmap(tower.maps(x.reshape(-1, *x.shape[2:])).numpy(), method, size, "bilinear", normalize)
    return maps.reshape(*x.shape[:2], *maps.shape[1:])


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", ["input", None, (7, 9)])
def test_one_heatmap_for_each_view(name: str, size: Any) -> None:
    tower = Tower()
    explained = vc.attach(MODELS[name](tower), "conv", method=["deviation", "gradcam"], size=size)
    outputs = explained.predict(X, verbose=0)
    for method in ("deviation", "gradcam"):
        key = f"heatmap_conv_{method}"
        want = expected(tower, X, method, outputs["explained_class"], {"input": SIZE}.get(size, size))
        assert want.shape[:2] == (3, V)
        assert explained.outputs[explained.output_names.index(key)].shape in (
            (None, V, *want.shape[2:]),
            (None, None, *want.shape[2:]),
        )
        oracle.assert_close(outputs[key], want)
    for count in (1, 2):  # of any other batch, too
        few = explained(X[:count])
        for key, value in outputs.items():
            np.testing.assert_allclose(few[key], value[:count], atol=1e-5)


def test_number_of_views_that_the_model_leaves_open() -> None:
    tower = Tower()
    explained = vc.attach(of_unknown_number(tower), "conv", method="gradcam", target=1)
    for count in (1, 2, 7):
        x = images(2, count, *SIZE, 3)
        got = explained.predict(x, verbose=0)["heatmap_conv"]
        oracle.assert_close(got, expected(tower, x, "gradcam", [1, 1]))


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("layers", [None, "stages", "last", "*conv", "conv"])
def test_presets_and_patterns_take_them(layers: Any) -> None:
    tower = Tower()
    outputs = vc.attach(merged_by_reshape(tower), layers).predict(X, verbose=0)
    oracle.assert_close(outputs["heatmap_conv"], expected(tower, X, "deviation"))
    assert all(value.shape == (3, V, *SIZE) for key, value in outputs.items() if key.startswith("heatmap"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reshape", "one view after another"])
def test_in_every_runtime(name: str, tmp_path: Path) -> None:
    tower = Tower()
    explained = vc.attach(MODELS[name](tower), ["first", "conv"], method=["deviation", "gradcam"], combine="mean")
    want = explained.predict(X, verbose=0)
    oracle.assert_close(want["heatmap_conv_gradcam"], expected(tower, X, "gradcam", want["explained_class"]))
    compiled = tf.function(explained, jit_compile=True)(X)
    some = vc.attach(MODELS[name](tower), ["first", "conv"], method=["deviation", "gradcam"], jit_compile=True)(X)
    explained.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.taps == explained.taps
    again = loaded.predict(X, verbose=0)
    vc.export_saved_model(explained, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served").signatures["serving_default"](tf.constant(X))
    vc.export_tflite(explained, tmp_path / "m.tflite")
    runner = interpreter((tmp_path / "m.tflite").read_bytes()).get_signature_runner("serving_default")
    [argument] = runner.get_input_details()
    lite = [runner(**{argument: x[None]}) for x in X]
    for key, value in want.items():
        np.testing.assert_allclose(compiled[key], value, atol=1e-4, err_msg=key)
        np.testing.assert_array_equal(again[key], value, err_msg=key)
        np.testing.assert_allclose(served[key], value, atol=1e-5, err_msg=key)
        np.testing.assert_allclose(np.concatenate([one[key] for one in lite]), value, atol=1e-4, err_msg=key)
        if key in some:
            np.testing.assert_allclose(some[key], value, atol=1e-4, err_msg=key)


def test_a_subclassed_model_saved_and_loaded(tmp_path: Path) -> None:
    tower = Tower()
    inner = gathered(tower, by_view=True)
    explained = vc.attach(inner, "conv")
    config = explained.get_config()
    assert config["taps"][0]["elements"] == {"outer": V, "inner": 1}
    assert vc.attach(merged_by_reshape(tower), "conv").get_config()["taps"][0]["elements"] == {"outer": 1, "inner": V}


def test_classes_that_the_caller_names() -> None:
    tower = Tower()
    explained = vc.attach(merged_by_reshape(tower), "conv", method="gradcam", target="input")
    classes = np.array([2, -1, 5], np.int32)
    outputs = explained.predict({explained.inputs[0].name: X, "class_index": classes}, verbose=0)
    assert outputs["explained_class"][0] == 2
    assert outputs["explained_class"][2] == -1
    want = expected(tower, X, "gradcam", [2, int(outputs["explained_class"][1]), 0])
    oracle.assert_close(outputs["heatmap_conv"][:2], want[:2])
    assert not outputs["heatmap_conv"][2].any()


def test_beside_layers_of_whole_examples() -> None:
    """Maps of views, and of what is joined from them: their batches differ, which must not mix them up."""
    tower = Tower()
    joint = L.Conv2D(6, 1, activation="relu", name="joint")
    views = keras.Input((V, *SIZE, 3))
    maps = tower.maps(ops.reshape(views, (-1, *SIZE, 3)))
    whole = joint(ops.max(ops.reshape(maps, (-1, V, *maps.shape[1:])), axis=1))
    model = keras.Model(views, L.Dense(3)(L.GlobalAveragePooling2D()(whole)))
    outputs = vc.attach(model, ["conv", "joint"], size=None).predict(X, verbose=0)
    oracle.assert_close(outputs["heatmap_conv"], expected(tower, X, "deviation", size=None))
    a = tower.maps(X.reshape(-1, *SIZE, 3)).numpy()
    want = oracle.heatmap(joint(a.reshape(3, V, *a.shape[1:]).max(1)).numpy(), "deviation", None, "bilinear", "minmax")
    oracle.assert_close(outputs["heatmap_joint"], want)
    with pytest.raises(InvalidArgumentError, match="`combine` needs taps of one rank"):
        vc.attach(model, ["conv", "joint"], combine="mean", size=(5, 5))


def test_two_inputs_concatenated() -> None:
    tower = Tower()
    left, right = keras.Input((*SIZE, 3), name="left"), keras.Input((*SIZE, 3), name="right")
    pooled = tower.pool(tower.maps(L.Concatenate(axis=0)([left, right])))
    model = keras.Model([left, right], tower.dense(L.Maximum()(ops.split(pooled, 2, axis=0))))
    with pytest.raises(InputShapeError, match=r"`size`='input' .* Set `size` to \(H, W\) or None"):
        vc.attach(model, "conv")
    outputs = vc.attach(model, "conv", method="gradcam", size=SIZE).predict([X[:, 0], X[:, 1]], verbose=0)
    oracle.assert_close(outputs["heatmap_conv"], expected(tower, X[:, :2], "gradcam", outputs["explained_class"]))


def test_patches_of_one_image() -> None:
    keras.utils.set_random_seed(0)
    conv, image = L.Conv2D(4, 3, activation="relu", name="conv"), keras.Input((12, 12, 3))
    patches = ops.reshape(ops.transpose(ops.reshape(image, (-1, 2, 6, 2, 6, 3)), (0, 1, 3, 2, 4, 5)), (-1, 6, 6, 3))
    pooled = ops.reshape(L.GlobalAveragePooling2D()(conv(patches)), (-1, 16))
    model = keras.Model(image, L.Dense(3)(pooled))
    x = images(2, 12, 12, 3)
    with pytest.raises(InputShapeError, match="`size`='input'"):
        vc.attach(model, "conv")
    got = vc.attach(model, "conv", size=(6, 6)).predict(x, verbose=0)["heatmap_conv"]
    each = np.stack([x[:, 6 * i : 6 * i + 6, 6 * j : 6 * j + 6] for i in range(2) for j in range(2)], 1)
    want = oracle.heatmap(conv(each.reshape(-1, 6, 6, 3)).numpy(), "deviation", (6, 6), "bilinear", "minmax")
    oracle.assert_close(got, want.reshape(2, 4, 6, 6))


def test_signals_and_volumes() -> None:
    keras.utils.set_random_seed(0)
    for shape, kind in [((9, 2), L.Conv1D), ((4, 5, 6, 2), L.Conv3D)]:
        conv, views = kind(3, 2, activation="relu", name="conv"), keras.Input((2, *shape))
        maps = conv(ops.concatenate([views[:, 0], views[:, 1]], axis=0))
        model = keras.Model(views, L.Dense(2)(ops.max(ops.stack(ops.split(L.Flatten()(maps), 2), 1), 1)))
        x = images(3, 2, *shape)
        got = vc.attach(model, "conv").predict(x, verbose=0)["heatmap_conv"]
        a = conv(x.reshape(-1, *shape)).numpy()
        want = oracle.heatmap(a, "deviation", shape[:-1], "bilinear", "minmax").reshape(3, 2, *shape[:-1])
        oracle.assert_close(got, want)


def conv_model(before: Callable[[Any], Any], after: Callable[[Any], Any]) -> Any:
    views = keras.Input((V, *SIZE, 3))
    maps = L.Conv2D(3, 3, name="conv")(before(views))
    return keras.Model(views, L.Dense(2)(L.Flatten()(after(maps))))


def test_where_the_batch_is_not_first() -> None:
    """The views are, and the batch is taken for the height."""
    model = conv_model(
        lambda x: ops.transpose(ops.mean(x, 2), (1, 0, 2, 3)),
        lambda maps: ops.transpose(maps, (1, 0, 2, 3)),
    )
    for layers in ("conv", "c*v"):
        with pytest.raises(NoFeatureMapError, match=r"`layers` can't tap 'conv' .*: the batch is not its first axis"):
            vc.attach(model, layers, size=None)


class Table(L.Layer):
    """Feature maps that are the same whatever the input is."""

    def build(self, _: Any) -> None:
        self.table = self.add_weight(shape=(1, 4, 5, 3), name="table")

    def call(self, x: Any) -> Any:
        return self.table + 0.0


def test_what_does_not_depend_on_the_batch() -> None:
    image = keras.Input((4, 5, 3))
    model = keras.Model(image, L.Flatten()(image + Table(name="table")(image)))
    with pytest.raises(NoFeatureMapError, match=r"'table' .*or it is the same for every batch"):
        vc.attach(model, "table")


class Mixed(L.Layer):
    """Rows in an order that no number of blocks explains."""

    def call(self, views: Any) -> Any:
        count = ops.shape(views)[0]
        rows = tf.range(count * V)
        order = (rows * rows + rows) % count
        return tf.ensure_shape(tf.gather_nd(views, tf.stack([order, rows % V], 1)), (None, *SIZE, 3))

    def compute_output_shape(self, shape: Any) -> Any:
        return (None, *shape[2:])


def test_rows_in_no_order() -> None:
    model = conv_model(Mixed(), lambda maps: ops.reshape(maps, (-1, V, *maps.shape[1:])))
    with pytest.raises(NoFeatureMapError, match="nothing tells which rows of it belong to which example"):
        vc.attach(model, "conv", size=None)


@pytest.mark.parametrize("method", ["reciprocam", "ablationcam", "scorecam"])
def test_replay_methods_are_refused(method: str) -> None:
    with pytest.raises(NoFeatureMapError, match=rf"`method`='{method}' needs one .*'first' .*merged.*Use 'gradcam'"):
        vc.attach(merged_by_reshape(Tower()), "conv", method=method)


def test_overlays_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`render` must be None unless the layer sees gray or color images"):
        vc.attach(merged_by_reshape(Tower()), "conv", render="overlay")


def test_scores_of_views_are_refused() -> None:
    tower, views = Tower(), keras.Input((V, *SIZE, 3))
    model = keras.Model(views, tower.dense(tower.pool(tower.maps(ops.reshape(views, (-1, *SIZE, 3))))))
    with pytest.raises(InvalidArgumentError, match=r"`output` must be an output with the batch first, and one row"):
        vc.attach(model, "conv", method="gradcam")
    outputs = vc.attach(model, "conv").predict(X, verbose=0)
    oracle.assert_close(outputs["heatmap_conv"], expected(tower, X, "deviation"))
