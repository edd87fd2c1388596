"""Graphs of every kind as Keras models: the same outputs, layers by the names of operations, inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import graph_models as graphs
from support.graph_models import images, original

import visualcnn_tf as vc

#: A writer of each kind of file of the same classifier, and what is passed to ``load_graph`` beside the path.
KINDS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "keras export": (graphs.write_keras_export, {}),
    "tf.Module": (graphs.write_module, {}),
    "hub": (graphs.write_hub, {"signature": "image_feature_vector", "outputs": "probabilities"}),
    "estimator": (graphs.write_estimator, {"signature": "predict"}),
    "estimator, reference variables": (
        lambda folder: graphs.write_estimator(folder, use_resource=False),
        {"signature": "predict"},
    ),
    "estimator of examples": (graphs.write_estimator, {"inputs": {"image": "image:0"}, "outputs": ["scores"]}),
    "frozen": (graphs.write_frozen, {}),
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model of each kind of file. The files are gone."""
    found = {}
    for number, (kind, (write, arguments)) in enumerate(KINDS.items()):
        path = write(tmp_path_factory.mktemp("graphs") / f"graph_{number}")
        found[kind] = vc.load_graph(path, **arguments)
    return found


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return graphs.write_detector(tmp_path_factory.mktemp("graphs") / "detector")


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_the_original(loaded: dict[str, Any], kind: str) -> None:
    model, x = loaded[kind], images(3)
    expected = original()(x).numpy()
    assert isinstance(model, keras.Model)
    np.testing.assert_allclose(model(x), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict(x, batch_size=2, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(tf.function(model)(x), expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_return_what_those_of_the_original_return(loaded: dict[str, Any], kind: str) -> None:
    if kind == "keras export":
        pytest.skip("its operations have other names; see below")
    model, x = loaded[kind], images()
    taps = {name: keras.Model(original().input, original().get_layer(name).output) for name in graphs.SAME}
    raw = vc.attach(model, list(graphs.SAME.values()), method="mean", size=None, normalize=None)(x)
    for name, path in graphs.SAME.items():
        expected = taps[name](x).numpy().mean(-1)
        np.testing.assert_allclose(raw[f"heatmap_{path}".replace("/", "_")], expected, atol=1e-5, err_msg=path)


def test_a_saved_model_gives_the_same_bits_as_tensorflow_itself(tmp_path: Path) -> None:
    path, x = graphs.write_module(tmp_path / "module"), tf.constant(images())
    expected = tf.saved_model.load(str(path)).signatures["serving_default"](image=x)["scores"]
    np.testing.assert_array_equal(vc.load_graph(path)(x), expected)


def test_presets_choose_what_they_choose_in_the_original(loaded: dict[str, Any]) -> None:
    chosen = {preset: [tap.path for tap in vc.attach(original(), preset).taps] for preset in ("stages", "last")}
    for kind in ("tf.Module", "estimator", "frozen"):
        for preset, paths in chosen.items():
            assert [tap.path for tap in vc.attach(loaded[kind], preset).taps] == [graphs.SAME[path] for path in paths]
        convolutions = [f"{name}/Conv2D" for name in ("stem", "project", "last")]
        conv = [tap.path for tap in vc.attach(loaded[kind]).taps]
        assert conv == [convolutions[0], "depthwise/depthwise", convolutions[1], "pool/MaxPool", convolutions[2]]


def test_a_keras_export_has_the_same_maps(loaded: dict[str, Any]) -> None:
    x = images()
    for preset in ("stages", "last"):
        expected = vc.attach(original(), preset)(x)
        got = vc.attach(loaded["keras export"], preset)(x)
        assert len(got) == len(expected)
        for one, other in zip(got.values(), expected.values(), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_bias_belongs_to_its_convolution(loaded: dict[str, Any]) -> None:
    model = loaded["frozen"]
    types = {layer.name: type(layer).__name__ for layer in model.operations}
    assert types["stem/Conv2D"] == "Conv2D"
    assert types["head/MatMul"] == "MatMul"
    assert not any("BiasAdd" in name for name in types)
    assert not {"Const", "Identity", "ReadVariableOp"} & set(types.values())


def test_weights_of_a_saved_model_are_weights(loaded: dict[str, Any]) -> None:
    expected = sorted(tuple(weight.shape) for weight in original().weights)
    for kind in ("tf.Module", "estimator", "estimator, reference variables", "keras export"):
        assert sorted(tuple(weight.shape) for weight in loaded[kind].weights) == expected, kind
    assert not loaded["frozen"].weights
    assert not loaded["tf.Module"].trainable_weights


def test_the_model_is_a_copy_of_what_is_in_the_file(tmp_path: Path) -> None:
    path, x = graphs.write_module(tmp_path / "module"), images()
    one, other = vc.load_graph(path), vc.load_graph(path)
    before = other(x).numpy()
    for weight in one.weights:
        weight.assign(weight * 0)
    np.testing.assert_array_equal(other(x), before)
    np.testing.assert_allclose(one(x), np.full_like(before, 1 / graphs.CLASSES), atol=1e-6)


# Inputs and outputs -----------------------------------------------------------------------------------------------


def test_several_outputs_are_a_dict_sorted_by_key(tmp_path: Path) -> None:
    path, x = graphs.write_hub(tmp_path / "hub"), images()
    outputs = vc.load_graph(path, "image_feature_vector")(x)
    assert list(outputs) == ["feature_vector", "probabilities"]
    last = keras.Model(original().input, original().get_layer("last").output)
    np.testing.assert_allclose(outputs["feature_vector"], last(x), atol=1e-5)
    np.testing.assert_allclose(outputs["probabilities"], original()(x), atol=1e-6)


def test_outputs_and_inputs_may_be_any_tensors(tmp_path: Path) -> None:
    path, x = graphs.write_frozen(tmp_path / "frozen.pb"), images()
    maps = vc.load_graph(path, outputs="last/Relu")(x)
    stem = vc.load_graph(path, outputs={"stem": "stem/Relu6:0"})(x)
    rest = vc.load_graph(path, inputs={"maps": "stem/Relu6:0"}, outputs={"maps": "last/Relu"})
    assert rest.inputs[0].name == "maps"
    assert not any(layer.name.startswith("stem") for layer in rest.operations)
    np.testing.assert_allclose(rest(stem), maps, atol=1e-6)
    last = keras.Model(original().input, original().get_layer("last").output)
    np.testing.assert_allclose(maps, last(x), atol=1e-5)


def test_an_input_can_be_fixed(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, (None, 4, 4, 1), "image")
        training = tf.compat.v1.placeholder(tf.bool, (), "training")
        kernel = tf.constant(np.ones((1, 1, 1, 2), "float32"))
        maps = tf.nn.conv2d(image, kernel, 1, "SAME", name="conv")
        tf.where(training, maps, 3 * maps, name="out")
    path, x = graphs.write_graph(tmp_path / "graph.pb", graph.as_graph_def()), np.ones((2, 4, 4, 1), "float32")
    for value, expected in ((False, 3.0), (True, 1.0)):
        model = vc.load_graph(path, inputs={"image": "image", "training": value})
        np.testing.assert_array_equal(model(x), np.full((2, 4, 4, 2), expected))


def test_a_fixed_batch_is_kept(tmp_path: Path) -> None:
    path = graphs.write_graph(tmp_path / "frozen.pb", graphs.frozen(batch=1))
    model, x = vc.load_graph(path), images(1)
    assert model.inputs[0].shape == (1, *graphs.SHAPE)
    np.testing.assert_allclose(model(x), original()(x), atol=1e-6)
    explained = vc.attach(model, "last", method="hirescam")
    np.testing.assert_allclose(
        explained(x)["heatmap_last_Relu"],
        vc.attach(original(), "last", method="hirescam")(x)["heatmap_last"],
        atol=1e-5,
    )


def test_images_of_any_size(tmp_path: Path) -> None:
    model = vc.load_graph(graphs.write_hub(tmp_path / "hub"), "image_feature_vector", outputs="probabilities")
    x = np.random.default_rng(0).uniform(-1, 1, (2, 24, 20, 3)).astype("float32")
    heatmap = vc.attach(model, "last")(x)["heatmap_last_Relu"]
    assert heatmap.shape == (2, 24, 20)
    assert [tap.path for tap in vc.attach(model, "stages").taps] == ["stem/Relu6", "sum/add", "last/Relu"]


def test_two_graphs_in_one_model(tmp_path: Path) -> None:
    one = vc.load_graph(graphs.write_frozen(tmp_path / "one.pb"))
    other = vc.load_graph(graphs.write_module(tmp_path / "other"))
    image = keras.Input(graphs.SHAPE)
    model = keras.Model(image, keras.layers.Average()([one(image), other(image)]))
    x = images()
    np.testing.assert_allclose(model(x), original()(x), atol=1e-6)
    heatmaps = vc.attach(model, ["one/last/Relu", "other/sum/add"])(x)
    expected = vc.attach(original(), ["last", "sum"])(x)
    np.testing.assert_allclose(heatmaps["heatmap_one_last_Relu"], expected["heatmap_last"], atol=1e-5)
    np.testing.assert_allclose(heatmaps["heatmap_other_sum_add"], expected["heatmap_sum"], atol=1e-5)


# Detectors --------------------------------------------------------------------------------------------------------


def test_a_detector_with_loops(detector: Path) -> None:
    photo = np.random.default_rng(7).integers(0, 256, (1, 20, 30, 3), "uint8")
    expected = tf.saved_model.load(str(detector)).signatures["serving_default"](input_tensor=tf.constant(photo))
    model = vc.load_graph(detector)
    outputs = model(photo)
    assert list(outputs) == sorted(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(outputs[key], value, err_msg=key)
    explained = vc.attach(model, ["stem/Relu6", "last/Relu"], size=None, normalize=None, method="mean")
    scaled = tf.image.resize(tf.cast(photo, tf.float32), graphs.SHAPE[:2]) / 127.5 - 1.0
    expected = vc.attach(original(), ["stem_relu", "last"], size=None, normalize=None, method="mean")(scaled)
    heatmaps = explained(photo)
    np.testing.assert_allclose(heatmaps["heatmap_stem_Relu6"], expected["heatmap_stem_relu"], atol=1e-5)
    np.testing.assert_allclose(heatmaps["heatmap_last_Relu"], expected["heatmap_last"], atol=1e-5)


def test_the_score_of_a_detector(detector: Path) -> None:
    """A gradient through the boxes that were chosen, of a score that the caller gives."""
    photo = np.random.default_rng(7).integers(0, 256, (1, 20, 30, 3), "uint8")
    model = vc.load_graph(detector, outputs="raw_detection_scores")

    def score(scores: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(scores[:, :, 1], -1)

    got = vc.attach(model, "last/Relu", method="hirescam", target=score, size=None, normalize=None)(photo)
    scaled = tf.image.resize(tf.cast(photo, tf.float32), graphs.SHAPE[:2]) / 127.5 - 1.0
    maps = keras.Model(original().input, original().get_layer("last").output)(scaled)
    kernel = next(weight for weight in model.weights if weight.name == "scores")
    with tf.GradientTape() as tape:
        tape.watch(maps)
        total = score(tf.reshape(tf.nn.sigmoid(tf.nn.conv2d(maps, kernel.value, 1, "SAME")), (1, -1, 3)))
    expected = tf.nn.relu(tf.reduce_sum(tape.gradient(total, maps) * maps, -1))
    np.testing.assert_allclose(got["heatmap_last_Relu"], expected, atol=1e-6)


def test_what_is_inside_of_loops_is_refused_by_name(detector: Path) -> None:
    model = vc.load_graph(detector)
    inside = [layer.name for layer in model.operations if layer.is_inside]
    resize = next(name for name in inside if name.endswith("ResizeBilinear"))
    with pytest.raises(vc.NoFeatureMapError, match=f"can't tap '{resize}': it runs inside a loop"):
        vc.attach(model, resize)
