"""Methods that explain a class: several at once, files, sizes, and what ``attach`` refuses or warns of."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support import oracle_gradient
from support.method_objects import GRADIENT_METHODS, MAP_METHODS, REPLAY_METHODS
from support.model_kinds import images, small_cnn_layers
from support.oracle import assert_close
from support.other_way import activations_and_gradients, best_class

import visualcnn_tf as vc
from visualcnn_tf.errors import (
    ExpensiveMethodWarning,
    InvalidArgumentError,
    NoFeatureMapError,
    NoGradientError,
    SpatialAxesLostWarning,
)
from visualcnn_tf.introspect.find_inputs import model_inputs
from visualcnn_tf.introspect.reference_input import Positions
from visualcnn_tf.introspect.trace import trace_model
from visualcnn_tf.pipeline.checks import share_after

X = images(3, 12, 12, 2)


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((12, 12, 2), name="image"), *small_cnn_layers()], name="cnn")


@keras.saving.register_keras_serializable(package="test_class_method_options")
def second(output: Any) -> Any:
    """A score."""
    return output[:, 1] * 3.0


# --- several methods ---


def operations(graph: Any, kind: str) -> int:
    return sum(op.type == kind for op in graph.get_operations())


def test_several_methods_share_one_run_and_one_backward_pass(model: Any) -> None:
    def graph(method: Any) -> Any:
        explained = vc.attach(model, "conv_a", method=method)
        return tf.function(explained, autograph=False).get_concrete_function(tf.TensorSpec((None, 12, 12, 2))).graph

    one, many = graph("gradcam"), graph(["deviation", *GRADIENT_METHODS])
    assert operations(one, "Conv2D") == operations(many, "Conv2D") == 2
    assert operations(one, "Conv2DBackpropInput") == operations(many, "Conv2DBackpropInput") == 1


@pytest.mark.slow
def test_several_methods_equal_each_alone(model: Any) -> None:
    methods = list(MAP_METHODS)
    outputs = vc.attach(model, "pool", method=methods)(X)
    keys = [f"heatmap_pool_{method.replace('+', 'p')}" for method in methods]
    assert list(outputs) == ["predictions", "explained_class", *keys]
    for key, method in zip(keys, methods, strict=True):
        alone = vc.attach(model, "pool", method=method)(X)
        np.testing.assert_allclose(outputs[key], alone["heatmap_pool"], atol=2e-5, err_msg=key)


def test_methods_and_lists_by_pattern(model: Any) -> None:
    explained = vc.attach(model, method={"conv_b": ["gradcam", "mean"], "conv_*": "layercam"}, target=[1, 2])
    assert [(tap.key, tap.method) for tap in explained.taps] == [
        ("heatmap_conv_a_class1", vc.methods.LayerCAM()),
        ("heatmap_conv_a_class2", vc.methods.LayerCAM()),
        ("heatmap_pool", vc.methods.Deviation()),
        ("heatmap_conv_b_gradcam_class1", vc.methods.GradCAM()),
        ("heatmap_conv_b_gradcam_class2", vc.methods.GradCAM()),
        ("heatmap_conv_b_mean", vc.methods.Mean()),
    ]
    outputs, one = explained(X), vc.attach(model, method="layercam", target=2)(X)
    np.testing.assert_allclose(outputs["heatmap_conv_a_class2"], one["heatmap_conv_a"], atol=1e-6)
    np.testing.assert_allclose(outputs["heatmap_pool"], vc.attach(model)(X)["heatmap_pool"], atol=1e-6)


def test_a_callable_of_gradients(model: Any) -> None:
    def products(a: Any, g: Any) -> Any:
        return tf.reduce_max(a * g, -1)

    outputs = vc.attach(model, "pool", method=products, size=None, normalize=None)(X)
    a, g = activations_and_gradients(model, X, {"k": ("pool", 0, None)}, best_class)["k"]
    assert_close(outputs["heatmap_pool"], (a * g).max(-1))


def test_combine(model: Any) -> None:
    outputs = vc.attach(model, method="layercam", combine="mean")(X)
    maps = [outputs[f"heatmap_{name}"].numpy().astype(float) for name in ("conv_a", "pool", "conv_b")]
    assert_close(outputs["heatmap"], oracle_gradient.finished(sum(maps) / 3))
    for target in ([0, 1], "top2"):
        with pytest.raises(InvalidArgumentError, match=r"`combine` must be None for several classes\. Received: "):
            vc.attach(model, method="gradcam", combine="mean", target=target)


# --- files ---


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("target", [2, [2, 0], "top2", "input", second])
def test_a_file_keeps_the_target(model: Any, target: Any, tmp_path: Any) -> None:
    explained = vc.attach(model, "pool", method=["layercam", "reciprocam"], target=target)
    before = explained(X)
    explained.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.plan == explained.plan
    assert loaded.options.target == explained.options.target
    for key, value in before.items():
        np.testing.assert_array_equal(loaded(X)[key], value)


def test_saving_warns_of_a_score_that_will_not_load(model: Any, tmp_path: Any) -> None:
    def first(output: Any) -> Any:
        return output[:, 0]

    explained = vc.attach(model, "pool", method="gradcam", target=first)
    with pytest.warns(vc.errors.NotSerializableWarning, match="`target` 'first' is saved by reference"):
        explained.save(tmp_path / "m.keras")


# --- sizes ---


def test_unknown_sizes() -> None:
    keras.utils.set_random_seed(3)
    image = keras.Input((None, None, 2))
    x = L.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="first")(image)
    x = L.MaxPooling2D(2, name="pool")(x)
    x = L.Conv2D(5, 3, activation="relu", name="last")(x)
    model = keras.Model(image, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x)))
    explained = vc.attach(model, method="gradcam", size=None, normalize=None)
    layers = {f"heatmap_{name}": (name, 0, None) for name in ("first", "pool", "last")}
    for shape in [(15, 22), (20, 17)]:
        batch = images(2, *shape, 2)
        outputs = explained.predict(batch, verbose=0)
        for key, pair in activations_and_gradients(model, batch, layers).items():
            assert_close(outputs[key], oracle_gradient.fuse(*pair, "gradcam"))
    for method in REPLAY_METHODS:
        with pytest.raises(NoFeatureMapError, match=r"of a known size.*'first'.*Pass `input_shape`.*or use 'gradcam'"):
            vc.attach(model, method=method)
    fixed = vc.attach(model, "last", method=[*REPLAY_METHODS], input_shape=(15, 22, 2))
    assert fixed(images(2, 15, 22, 2))["heatmap_last_reciprocam"].shape == (2, 15, 22)


def test_a_model_that_is_built_later() -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(small_cnn_layers())
    explained = vc.attach(model, "pool", method=["gradcam", "reciprocam"], target="input")
    outputs = explained.predict(X, verbose=0)
    again = vc.attach(model, "pool", method=["gradcam", "reciprocam"])(X)
    for key, value in again.items():
        np.testing.assert_allclose(outputs[key], value, atol=1e-5)
    late = vc.attach(keras.Sequential(small_cnn_layers()), method="gradcam", target=7)
    with pytest.raises(InvalidArgumentError, match="within the model's 4 classes"):
        late.predict(X, verbose=0)


# --- what attach refuses, and warns of ---


@pytest.fixture
def two_branches() -> Any:
    image = keras.Input((12, 12, 2))
    left = L.Conv2D(3, 3, name="left")(image)
    right = L.Conv2D(3, 3, name="right")(image)
    outputs = {"a": L.Dense(2)(L.Flatten()(left)), "b": L.Dense(2)(L.Flatten()(right))}
    return keras.Model(image, outputs)


@pytest.mark.parametrize("method", ["gradcam", "reciprocam", "scorecam", "ablationcam"])
def test_no_path_leads_from_the_layer_to_the_score(two_branches: Any, method: str) -> None:
    assert "heatmap_left" in vc.attach(two_branches, "left", method=method, output="a")(X)
    with pytest.raises(NoGradientError) as caught:
        vc.attach(two_branches, "left", method=method, output="b")
    message = str(caught.value)
    assert f"`method`={method!r} explains" in message
    assert "no path leads from 'left' to 'b'" in message


def test_a_stopped_gradient_is_no_path() -> None:
    image = keras.Input((12, 12, 2))
    x = L.Conv2D(3, 3, name="stem")(image)
    model = keras.Model(image, L.Dense(2)(L.Flatten()(L.Lambda(tf.stop_gradient)(x))))
    with pytest.raises(NoGradientError, match="'stem' to 'predictions'"):
        vc.attach(model, method="gradcam")


def caught(**options: Any) -> list[Any]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        vc.attach(**options)
    return found


def test_a_layer_after_the_flattening_shows_no_positions() -> None:
    image = keras.Input((12, 12, 2))
    code = L.Dense(12)(L.Flatten()(L.Conv2D(2, 3, name="seen")(image)))
    decoded = L.Conv2DTranspose(2, 3, name="decoded")(L.Reshape((2, 2, 3))(code))
    model = keras.Model(image, L.Dense(2)(L.Flatten()(decoded)))
    (warning,) = caught(model=model, layers="decoded", method="gradcam")
    assert warning.category is SpatialAxesLostWarning
    assert str(warning.message).startswith("`layers`: everything that 'decoded' sees was flattened")
    assert warning.filename == __file__
    assert caught(model=model, layers="seen", method="gradcam") == []
    assert caught(model=model, layers="decoded", method="deviation") == []


@pytest.fixture(scope="module")
def large() -> Any:
    layers = [L.Conv2D(4, 3, padding="same", name="large"), L.Conv2D(300, 3, strides=2, name="wide")]
    return keras.Sequential([keras.Input((20, 18, 1)), *layers, L.GlobalAveragePooling2D(), L.Dense(2)])


@pytest.mark.parametrize(
    ("layer", "method", "runs", "advice"),
    [
        ("large", "reciprocam", 360, "Select a deeper layer"),
        ("wide", "scorecam", 300, "Limit the channels: `method=ScoreCAM(max_channels=32)`"),
    ],
)
def test_a_high_cost_is_warned_of(large: Any, layer: str, method: str, runs: int, advice: str) -> None:
    (warning,) = caught(model=large, layers=layer, method=method, target=[0, 1])
    assert warning.category is ExpensiveMethodWarning
    assert warning.filename == __file__
    message = str(warning.message)
    assert message.startswith(f"`method`={method!r} of {layer!r} (None, ")
    assert f" {runs} times for each image" in message
    assert advice in message


class InFunction(L.Layer):
    """A convolution inside a ``tf.function``."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 8), name="kernel")

    def call(self, x: Any) -> Any:
        return tf.function(lambda maps: tf.nn.conv2d(maps, self.kernel, 1, "SAME"), autograph=False)(x)


def test_the_cost_of_a_replay_is_that_of_the_model_alone() -> None:
    """Not of what following positions through functions adds to the graph."""
    image = keras.Input((16, 16, 3))
    x = InFunction()(L.Conv2D(8, 3, padding="same", name="before")(image))
    model = keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(8, 3, name="after")(x))))
    trace = trace_model(model, model_inputs(model))
    [call] = [call for call in trace.calls if call.path == "before"]
    Positions(trace).view(call)
    before, after = 3 * 3 * 3 * 8 * 16**2, 3 * 3 * 8 * 8 * 14**2 + 8 * 3
    assert share_after(trace, call, trace.output_tensors[0]) == after / (before + after)


@pytest.mark.parametrize(
    ("layer", "method"),
    [
        ("wide", "reciprocam"),
        ("wide", "ablationcam"),  # but for the head, nothing runs again
        ("large", "scorecam"),
        ("wide", vc.methods.ScoreCAM(max_channels=8)),
        ("large", "gradcam"),
    ],
)
def test_no_warning_of_what_is_cheap(large: Any, layer: str, method: Any) -> None:
    assert caught(model=large, layers=layer, method=method) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("target", 3), ("target", "input"), ("output", "predictions")],
)
def test_options_of_methods_that_explain_a_class(model: Any, name: str, value: Any) -> None:
    message = rf"`{name}` must be .* with methods that explain no class\. Received: .*Use a method such as 'gradcam'\."
    with pytest.raises(InvalidArgumentError, match=message):
        vc.attach(model, **{name: value})
    assert vc.attach(model, method=["mean", "ablationcam"], **{name: value})


def test_fused_blocks_are_compiled_only_where_no_target_is_explained(model: Any) -> None:
    message = (
        r"`compile_fused_blocks` must be False with methods that explain a target\. Received: True\. Use `jit_comp"
    )
    for method in ("gradcam", "reciprocam", ["mean", "gradcam"]):
        with pytest.raises(InvalidArgumentError, match=message):
            vc.attach(model, method=method, compile_fused_blocks=True)
    assert vc.attach(model, method="mean", compile_fused_blocks=True)


@pytest.mark.parametrize("option", ["relu", "max_channels"])
def test_options_of_methods_are_none_of_attach(model: Any, option: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
        vc.attach(model, method="scorecam", **{option: 1})


@pytest.mark.parametrize("wrong", [[], {"conv_a": []}, ["gradcam", "gradcan"], {"conv_a": ["gradcan"]}, [None]])
def test_what_no_list_of_methods_is(model: Any, wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="`method` must be "):
        vc.attach(model, method=wrong)
