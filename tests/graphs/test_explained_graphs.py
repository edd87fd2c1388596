"""Heatmaps of graphs are those of the Keras model with the same weights, by every method, saved and exported."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import graph_models as graphs
from support import transformers
from support.graph_models import SAME, images, original

import visualcnn_tf as vc
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.graphs.constants import from_text

ROOT = Path(vc.__file__).parents[1]
#: Of each kind: what a graph must have for activations, gradients, replays from a layer, and replays of the model.
METHODS = ("deviation", "gradcam", "hirescam", "reciprocam", "scorecam")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return vc.load_graph(graphs.write_frozen(tmp_path_factory.mktemp("graphs") / "frozen.pb"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return vc.load_graph(graphs.write_module(tmp_path_factory.mktemp("graphs") / "module"))


@pytest.fixture(params=["frozen", "saved"])
def model(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.sweep(cases=7)
def test_methods_agree_with_the_original(model: Any, method: str) -> None:
    x, target = images(1), "predicted" if method == "deviation" else 3
    for name in ("sum", "last") if method != "scorecam" else ("last",):
        expected = vc.attach(original(), name, method=method, target=target)(x)[f"heatmap_{name}"]
        got = vc.attach(model, SAME[name], method=method, target=target)(x)
        np.testing.assert_allclose(got[f"heatmap_{SAME[name]}".replace("/", "_")], expected, atol=2e-5, err_msg=name)


@pytest.mark.sweep(cases=1)
def test_the_score_is_the_logit_and_no_gradient_is_tensorflows_own(model: Any) -> None:
    explained = vc.attach(model, list(SAME.values()), method="gradcam", normalize=None, size=None)
    assert explained.plan is not None
    assert not explained.plan.fallbacks
    assert explained.plan.class_count == graphs.CLASSES
    x = tf.constant(images())
    # The gradient of the logit, by TensorFlow, with respect to the original's feature maps.
    taps = keras.Model(original().input, [original().get_layer("last").output, original().layers[-1].input])
    kernel = original().layers[-1].kernel
    maps, _ = taps(x)
    predicted = np.argmax(original()(x), -1)
    gradients = np.asarray(kernel)[:, predicted].T / np.prod(maps.shape[1:3])
    expected = np.maximum(np.einsum("bhwc,bc->bhw", maps, gradients), 0)
    np.testing.assert_allclose(explained(x)["heatmap_last_Relu"], expected, atol=1e-6)


class BatchNormalized(keras.layers.Layer):
    """A layer normalization as Keras 2 computes it."""

    def call(self, x: Any) -> Any:
        rows = tf.reshape(x, (1, -1, x.shape[-1], 1))
        ones, zeros = tf.ones(tf.shape(rows)[1:2]), tf.zeros(tf.shape(rows)[1:2])
        rows = tf.compat.v1.nn.fused_batch_norm(rows, ones, zeros, data_format="NCHW")[0]
        return 1.5 * tf.reshape(rows, tf.shape(x)) + tf.constant([0.1, -0.2, 0.3, 0.4])


@pytest.mark.parametrize("norm", [keras.layers.LayerNormalization, BatchNormalized])
def test_a_normalization_of_channels_ends_no_stage(tmp_path: Path, norm: Any) -> None:
    """Its channels sum to the same value at each position, so that a mean over them would be constant."""
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, activation="relu", name="conv")(image)
    y = keras.layers.Conv2D(4, 1, name="branch")(keras.layers.LayerNormalization(name="inner")(x))
    x = norm(name="norm")(keras.layers.Add(name="sum")([x, y]))
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    graph = vc.load_graph(graphs.write_graph(tmp_path / "graph.pb", graphs.frozen_keras(model)))
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    expected = vc.attach(model, "sum")(images)["heatmap_sum"]
    explained = vc.attach(graph, "last")
    np.testing.assert_allclose(explained(images)[explained.taps[0].key], expected, atol=1e-4)
    assert {layer.data_format for layer in graph.operations} <= {"channels_last", None}
    assert [layer.name for layer in graph.operations if layer.normalized == explained.taps[0].path]


@pytest.mark.parametrize("first", [False, True])
def test_channels_first(tmp_path: Path, first: bool) -> None:
    """Transposes tell where the channels are after them, also before the first convolution and after the last."""
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4)).astype("float32")

    def make(image: Any) -> None:
        x = tf.nn.relu(tf.transpose(tf.concat([image] * 3, -1), [0, 3, 1, 2]) if first else tf.concat([image] * 3, -1))
        if first:
            x = tf.transpose(x, [0, 2, 3, 1], name="back")
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME"), name="maps")
        tf.nn.relu6(tf.transpose(x, [0, 3, 1, 2], name="moved"), name="out")

    model = vc.load_graph(graphs.write_graph(tmp_path / "graph.pb", graphs.odd_graph(make)))
    formats = {layer.name: layer.data_format for layer in model.operations}
    assert formats["maps"] == "channels_last"
    assert formats["moved"] == formats["out"] == "channels_first"
    assert formats["Relu"] == ("channels_first" if first else "channels_last")
    x = np.random.default_rng(1).normal(size=(2, 4, 4, 1)).astype("float32")
    maps = vc.attach(model, ["maps", "out"], method="mean", normalize=None, size=None)(x)
    np.testing.assert_allclose(maps["heatmap_out"], np.minimum(np.asarray(model(x)), 6).mean(1), atol=1e-6)
    assert maps["heatmap_maps"].shape == (2, 4, 4)


def test_a_transformer(tmp_path: Path) -> None:
    """Its tokens are found in the graph as well, and the presets choose the normalization that attention reads."""
    keras.utils.set_random_seed(0)
    model = transformers.vit()
    graph = vc.load_graph(graphs.write_graph(tmp_path / "vit.pb", graphs.frozen_keras(model)))
    x = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    for method in ("deviation", "hirescam"):
        one, other = vc.attach(model, "last", method=method), vc.attach(graph, "last", method=method)
        assert other.taps[0].tokens == one.taps[0].tokens is not None
        np.testing.assert_allclose(other(x)[other.taps[0].key], one(x)[one.taps[0].key], atol=1e-4)


def test_a_replay_reads_the_mean_alone_where_only_that_is_read(saved: Any) -> None:
    """Recipro-CAM at the last layer makes no maps for each position, as in the original."""
    sizes = []
    for model, path in ((original(), "last"), (saved, "last/Relu")):
        explained = vc.attach(model, path, method="reciprocam")
        run = tf.function(explained, autograph=False).get_concrete_function(tf.TensorSpec((1, *graphs.SHAPE)))
        sizes.append(max(operation.outputs[0].shape.num_elements() or 0 for operation in pruned(run)))
    assert sizes[0] == sizes[1]


def pruned(run: Any) -> list[Any]:
    """The operations that the outputs of a function are computed from."""
    todo, found = [tensor.op for tensor in run.outputs], {}
    while todo:
        operation = todo.pop()
        if operation.name not in found and operation.outputs:
            found[operation.name] = operation
            todo += [tensor.op for tensor in operation.inputs]
    return list(found.values())


def test_a_graph_inside_a_model(frozen: Any) -> None:
    image = keras.Input((graphs.SIZE, graphs.SIZE, 3))
    around = keras.Model(image, frozen(keras.layers.Rescaling(2.0)(image)))
    x = images()
    explained = vc.attach(around, f"{frozen.name}/last/Relu", method="gradcam")
    expected = vc.attach(original(), "last", method="gradcam")(2 * x)["heatmap_last"]
    np.testing.assert_allclose(explained(x)[f"heatmap_{frozen.name}_last_Relu"], expected, atol=1e-5)


# Saving -----------------------------------------------------------------------------------------------------------


def test_saved_and_loaded_in_a_fresh_process(saved: Any, frozen: Any, tmp_path: Path) -> None:
    x = images()
    models = {
        "saved": saved,
        "frozen": frozen,
        "explained_saved": vc.attach(saved, "last", method=["deviation", "hirescam"]),
        "explained_frozen": vc.attach(frozen, "last", method=["deviation", "hirescam"]),
    }
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    np.save(tmp_path / "x.npy", x)
    code = """
        import sys, keras, numpy as np, visualcnn_tf
        folder, *names = sys.argv[1:]
        for name in names:
            outputs = keras.models.load_model(f"{folder}/{name}.keras")(np.load(folder + "/x.npy"))
            np.savez(f"{folder}/{name}.npz", **(outputs if isinstance(outputs, dict) else {"bare": outputs}))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path), *models]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, model in models.items():
        got, expected = dict(np.load(tmp_path / f"{name}.npz")), model(x)
        expected = expected if isinstance(expected, dict) else {"bare": expected}
        assert got.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(got[key], value, atol=1e-6, err_msg=f"{name} {key}")


def test_weights_are_in_the_file_once(saved: Any, frozen: Any, tmp_path: Path) -> None:
    saved.save(tmp_path / "model.keras")
    numbers = 4 * sum(value.size for value in graphs.weights().values())
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    assert numbers <= sizes["model.weights.h5"]
    assert sizes["config.json"] < numbers
    kept = {node.name: node for node in from_text(frozen.get_config()["graph"]).node}
    value = tf.make_ndarray(kept["weights/last/kernel"].attr["value"].tensor)
    assert value.shape == (3, 3, 8, 12)
    assert np.isnan(value).all()
    frozen.save(tmp_path / "frozen.keras")
    loaded = keras.models.load_model(tmp_path / "frozen.keras")
    np.testing.assert_array_equal(loaded(images()), frozen(images()))


def test_an_hdf5_file_is_refused(frozen: Any, tmp_path: Path) -> None:
    with pytest.raises(vc.InvalidArgumentError, match=r"a file that ends in \.keras"):
        frozen.save(tmp_path / "model.h5")


def test_weights_files(saved: Any, frozen: Any, tmp_path: Path) -> None:
    x = images()
    for model in (saved, frozen):
        model.save_weights(tmp_path / "model.weights.h5")
        other = type(model).from_config(model.get_config())
        other.load_weights(tmp_path / "model.weights.h5")
        np.testing.assert_array_equal(other(x), model(x))


# Exports ----------------------------------------------------------------------------------------------------------


@pytest.mark.sweep(cases=1)
def test_exported_as_a_saved_model(model: Any, tmp_path: Path) -> None:
    x = images()
    explained = vc.attach(model, "last", method=["deviation", "gradcam"])
    folder = vc.export_saved_model(explained, tmp_path / "export")
    served = tf.saved_model.load(str(folder)).signatures["serving_default"](image=tf.constant(x))
    for key, value in explained(x).items():
        np.testing.assert_allclose(served[key], value, atol=1e-5, err_msg=key)
    size = sum(file.stat().st_size for file in (folder / "variables").iterdir())
    numbers = 4 * sum(value.size for value in graphs.weights().values())
    assert size < (2 * numbers if model.weights else numbers)  # once, and not at all beside constants


@pytest.mark.sweep(cases=1)
def test_exported_to_tflite(model: Any, tmp_path: Path) -> None:
    x = images(1)
    explained = vc.attach(model, ["sum/add", "last/Relu"], method=["deviation", "hirescam"])
    report = vc.export_tflite(explained, tmp_path / "model.tflite")
    assert not [name for name in report.ops if name.startswith("FLEX") or name == "CUSTOM"]
    runner = interpreter((tmp_path / "model.tflite").read_bytes()).get_signature_runner("serving_default")
    got = runner(image=x)
    for key, value in explained(x).items():
        np.testing.assert_allclose(got[key], value, atol=1e-4, err_msg=key)


@pytest.mark.slow
def test_the_bare_model_is_exported(model: Any, tmp_path: Path) -> None:
    x = images()
    folder = vc.export_saved_model(model, tmp_path / "export")
    served = tf.saved_model.load(str(folder)).signatures["serving_default"](image=tf.constant(x))
    np.testing.assert_allclose(next(iter(served.values())), model(x), atol=1e-6)


def test_batch_jobs_know_the_weights_of_a_frozen_graph(frozen: Any, tmp_path: Path) -> None:
    """The fingerprint of a job is another one for other constants."""
    graph_def = graphs.frozen()
    for node in graph_def.node:
        if node.name == "weights/last/kernel":
            value = tf.make_ndarray(node.attr["value"].tensor)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(2 * value))
    other = vc.load_graph(graphs.write_graph(tmp_path / "other.pb", graph_def))
    assert other.get_config()["graph"] == frozen.get_config()["graph"]
    assert other.get_config()["constants"] != frozen.get_config()["constants"]
