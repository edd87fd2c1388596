"""Fusions that XLA compiles inside of models that it does not: the same heatmaps, and none of it in exported files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import oracle
from support.method_objects import ACTIVATION_METHODS, GRADIENT_METHODS
from support.model_kinds import images, small_cnn_layers
from support.oracle import assert_close

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.ops.exporting import exporting
from visualcnn_tf.ops.resize import INTERPOLATIONS


@pytest.fixture(scope="module")
def cnn() -> Any:
    keras.utils.set_random_seed(0)
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((12, 12, 2)), *small_cnn_layers()[:3], *head], name="cnn")


def compiled_operations(graph: Any) -> list[str]:
    """Names of what XLA must compile, in a graph and the functions that it calls."""
    definition = graph.as_graph_def(add_shapes=False)
    functions = [f for f in definition.library.function if f.attr["_XlaMustCompile"].b]
    nodes = [*definition.node, *(node for f in definition.library.function for node in f.node_def)]
    return [f.signature.name for f in functions] + [node.name for node in nodes if node.attr["_XlaMustCompile"].b]


@pytest.mark.sweep(cases=4)
@pytest.mark.parametrize("method", ACTIVATION_METHODS)
@pytest.mark.parametrize("shape", [(9, 7), (6, 5, 7), (6, 5, 12), (6, 5, 64), (3, 4, 5, 20)], ids=str)
def test_equals_the_oracle(method: str, shape: tuple[int, ...]) -> None:
    activations = np.random.default_rng(1).uniform(-0.2, 1.0, size=(3, *shape)).astype(np.float32)
    layer = vc.FeatureMapFusion(method, normalize=None, jit_compile=True)
    assert_close(layer(activations).numpy(), oracle.fuse(activations, method))
    assert_close(tf.function(layer)(activations).numpy(), oracle.fuse(activations, method))


@pytest.mark.parametrize("channels", [1, 4, 9, 14, 60, 63, 65])
def test_any_number_of_channels(channels: int) -> None:
    activations = np.random.default_rng(channels).normal(size=(2, 3, 2, channels)).astype(np.float32)
    layer = vc.FeatureMapFusion("mean", normalize=None, jit_compile=True)
    assert_close(layer(activations).numpy(), oracle.fuse(activations, "mean"))


@pytest.mark.sweep(cases=4)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(
    ("space", "size"),
    [
        ((9,), (23,)),
        ((4, 5), None),
        ((4, 5), (16, 20)),
        ((4, 5), (4, 13)),
        ((4, 5), (11, 5)),
        ((4, 5), (7, 10)),
        ((1, 1), (1, 2)),
        ((2, 2), (4, 3)),
        ((4, 5), (6, 3)),
        ((1, 3), (5, 1)),
        ((2, 3, 4), (4, 7, 8)),
    ],
    ids=str,
)
def test_every_size_equals_the_oracle(space: tuple[int, ...], size: Any, interpolation: str) -> None:
    activations = np.random.default_rng(2).normal(size=(3, *space, 6)).astype(np.float32)
    for normalize in ("minmax", ("range", -0.1, 0.2)):
        layer = vc.FeatureMapFusion(size=size, interpolation=interpolation, normalize=normalize, jit_compile=True)
        assert_close(layer(activations), oracle.heatmap(activations, "deviation", size, interpolation, normalize))


@pytest.mark.parametrize("normalize", ["minmax", "max"])
def test_every_type(normalize: str) -> None:
    maps = np.random.default_rng(3).normal(size=(2, 5, 4, 3)).astype(np.float32)
    truth = oracle.heatmap(maps, "mean", (17, 32), "bilinear", normalize)
    for dtype, off in (("float32", 1e-5), ("float16", 2.0**-11), ("uint8", 0.5 + 1e-2)):
        layer = vc.FeatureMapFusion("mean", size=(17, 32), normalize=normalize, heatmap_dtype=dtype, jit_compile=True)
        got = layer(maps)
        assert got.dtype.name == dtype
        want = 255 * truth.clip(0, 1) if dtype == "uint8" else truth
        np.testing.assert_allclose(got.numpy().astype(float), want, rtol=0, atol=off)


@pytest.mark.parametrize("method", ACTIVATION_METHODS)
def test_images_that_are_not_finite_or_constant_get_zeros(method: str) -> None:
    maps = np.random.default_rng(4).normal(size=(4, 5, 4, 4)).astype(np.float32)
    maps[1, 2, 3, 0], maps[2], maps[3, 0, 0, 1] = np.nan, 7.0, -np.inf
    heatmaps = vc.FeatureMapFusion(method, size=(20, 16), jit_compile=True)(maps).numpy()
    assert not heatmaps[1:].any()
    assert_close(heatmaps[:1], oracle.heatmap(maps[:1], method, (20, 16)))


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("method", [*GRADIENT_METHODS, pytest.param(lambda a: tf.reduce_max(a, -1), id="callable")])
def test_equals_the_plain_fusion(cnn: Any, method: Any) -> None:
    x = images(4, 12, 12, 2)
    plain = vc.attach(cnn, "conv", method=method).predict(x, verbose=0)
    fused = vc.attach(cnn, "conv", method=method, jit_compile=True).predict(x, verbose=0)
    for key, value in plain.items():
        np.testing.assert_allclose(fused[key], value, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_any_batch(cnn: Any) -> None:
    explained = vc.attach(cnn, jit_compile=True)
    plain = vc.attach(cnn)
    for count in (1, 3, 2):
        x = images(count, 12, 12, 2)
        for key, value in plain(x).items():
            np.testing.assert_allclose(explained(x)[key], value, rtol=0, atol=1e-5)


@pytest.mark.parametrize("known", [(None, None), (None, 5), (5, None)], ids=str)
def test_unknown_sizes(known: tuple[int | None, int | None]) -> None:
    layer = vc.FeatureMapFusion(jit_compile=True, size=(12, 11))
    run = tf.function(layer, input_signature=[tf.TensorSpec((None, *known, 4))])
    for size in (5, 9):
        space = [axis or size for axis in known]
        maps = np.random.default_rng(size).normal(size=(2, *space, 4)).astype(np.float32)
        assert_close(run(maps).numpy(), oracle.heatmap(maps, "deviation", (12, 11)))


def test_an_unknown_number_of_channels() -> None:
    layer = vc.FeatureMapFusion(jit_compile=True)
    run = tf.function(layer, input_signature=[tf.TensorSpec((None, 5, 4, None))])
    for channels in (3, 7):
        maps = np.random.default_rng(channels).normal(size=(2, 5, 4, channels)).astype(np.float32)
        assert_close(run(maps).numpy(), oracle.heatmap(maps, "deviation", (5, 4)))


def test_gradients_flow_through_it() -> None:
    maps = tf.Variable(np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype(np.float32))
    found = []
    for jit_compile in (False, True):
        layer = vc.FeatureMapFusion("l2", normalize=None, jit_compile=jit_compile)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(maps) ** 2)
        found.append(tape.gradient(loss, maps).numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-6)


def test_it_is_compiled_alone(cnn: Any) -> None:
    def graph_of(model: Any) -> Any:
        return tf.function(model).get_concrete_function(tf.TensorSpec((None, 12, 12, 2))).graph

    assert compiled_operations(graph_of(vc.attach(cnn, jit_compile=True)))
    assert not compiled_operations(graph_of(vc.attach(cnn)))
    with exporting():
        assert not compiled_operations(graph_of(vc.attach(cnn, jit_compile=True)))


def called_functions(layers: list[Any], shape: tuple[int | None, ...]) -> set[str]:
    """Names of the functions that a graph of several layers calls."""

    def run(activations: Any) -> list[Any]:
        return [layer(activations) for layer in layers]

    graph = tf.function(run).get_concrete_function(tf.TensorSpec(shape)).graph
    return {operation.get_attr("f").name for operation in graph.get_operations() if "Call" in operation.type}


def test_layers_share_what_is_compiled() -> None:
    layers = [vc.FeatureMapFusion(size=(20, 16), jit_compile=True) for _ in range(3)]
    assert len(called_functions(layers, (None, 5, 4, 6))) == 2
    other = vc.FeatureMapFusion("mean", size=(20, 17), jit_compile=True)
    assert len(called_functions([*layers, other], (None, 5, 4, 6))) == 4


def test_layers_do_not_share_a_function_of_the_user() -> None:
    factor = 1.0

    def scaled(activations: Any) -> Any:
        return tf.reduce_mean(activations, -1) * factor

    activations = np.random.default_rng(0).random((1, 3, 4, 2)).astype(np.float32)
    once = vc.FeatureMapFusion(scaled, normalize=None, jit_compile=True)(activations)
    factor = 2.0
    twice = vc.FeatureMapFusion(scaled, normalize=None, jit_compile=True)(activations)
    assert_close(twice, 2.0 * once.numpy())


def test_nothing_is_left_for_after_where_sizes_are_known() -> None:
    def types(space: tuple[Any, Any], jit_compile: bool) -> set[str]:
        layer = vc.FeatureMapFusion(size=(48, 48), jit_compile=jit_compile)
        graph = tf.function(layer).get_concrete_function(tf.TensorSpec((None, *space, 2))).graph
        return {operation.type for operation in graph.get_operations()}

    resizing = {"MatMul", "ResizeBilinear"}
    assert resizing <= types((12, 12), False)
    assert not resizing & types((12, 12), True)
    assert resizing & types((None, None), True)


@pytest.mark.slow
def test_exports_hold_plain_operations(cnn: Any, tmp_path: Path) -> None:
    explained = vc.attach(cnn, jit_compile=True)
    x = images(2, 12, 12, 2)
    explained.predict(x, verbose=0)
    folder = vc.export_saved_model(explained, tmp_path / "saved", signatures=["serving_default", "predict"])
    explained.export(tmp_path / "keras")
    for path in (folder, tmp_path / "keras"):
        loaded = tf.saved_model.load(str(path))
        graph = loaded.signatures["serving_default"].graph
        assert not compiled_operations(graph)
    assert vc.export_tflite(explained, tmp_path / "model.tflite").builtin_only


def test_a_saved_model_is_compiled_again(cnn: Any, tmp_path: Path) -> None:
    vc.attach(cnn, jit_compile=True).save(tmp_path / "explained.keras")
    loaded = keras.models.load_model(tmp_path / "explained.keras")
    assert all(fusion.jit_compile for fusion in loaded._pipeline.fusions)
    layer = vc.FeatureMapFusion(jit_compile=True)
    assert vc.FeatureMapFusion.from_config(layer.get_config()).jit_compile


def test_bad_values(cnn: Any) -> None:
    for wrong in ("fusion", "activation", None, 1):
        for option in ("jit_compile", "compile_fused_blocks"):
            with pytest.raises(
                InvalidArgumentError, match=rf"`{option}` must be one of True, False.*Received: {wrong!r}"
            ):
                vc.attach(cnn, **{option: wrong})
        with pytest.raises(
            InvalidArgumentError, match=rf"`jit_compile` must be one of True, False.*Received: {wrong!r}"
        ):
            vc.FeatureMapFusion(jit_compile=wrong)  # type: ignore[arg-type]
