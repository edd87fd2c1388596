"""The normalization and activation that lead to a tap, compiled as one program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.ops.exporting import exporting

IMAGE = (8, 8, 3)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).random((count, *IMAGE), np.float32)


def block(x: Any, name: str, activation: Any) -> Any:
    x = L.Conv2D(4, 3, padding="same", name=f"{name}_conv")(x)
    return activation(L.BatchNormalization(name=f"{name}_bn")(x))


def ended(image: Any, *maps: Any) -> Any:
    """A model whose normalizations have weights that are not those of the beginning."""
    model = keras.Model(image, [L.Dense(2)(L.GlobalAveragePooling2D()(x)) for x in maps])
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return model


def two_blocks() -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input(IMAGE)
    x = block(image, "a", L.ReLU(name="a_relu"))
    return ended(image, block(x, "b", L.Activation("silu", name="b_silu")))


def compiled(model: Any, layers: Any = "conv", **options: Any) -> Any:
    return vc.attach(model, layers, after_activation=True, jit_compile=True, compile_fused_blocks=True, **options)


def blocks(model: Any, layers: Any = "conv", **options: Any) -> list[tuple[str, ...]]:
    return list(compiled(model, layers, **options).plan.fused_blocks)


def functions(explained: Any, batch: Any = (None, *IMAGE)) -> list[str]:
    """The compiled programs that read variables: fused blocks, not heatmaps."""
    graph = tf.function(lambda x: explained(x)).get_concrete_function(tf.TensorSpec(batch)).graph
    calls = [op for op in graph.get_operations() if "Call" in op.type and op.get_attr("_XlaMustCompile")]
    return [op.name for op in calls if op.type == "StatefulPartitionedCall"]


def check_equal(got: Any, want: Any, tolerance: float = 1e-5) -> None:
    assert list(got) == list(want)
    for key, value in want.items():
        np.testing.assert_allclose(got[key], value, rtol=0, atol=tolerance, err_msg=key)


# What is compiled ------------------------------------------------------------------------------------------------


def test_normalization_and_activation_are_a_block() -> None:
    model = two_blocks()
    assert blocks(model) == [("a_bn", "a_relu"), ("b_bn", "b_silu")]
    assert blocks(model, "a_conv") == [("a_bn", "a_relu")]
    assert len(functions(compiled(model))) == 2
    assert vc.attach(model, after_activation=True, jit_compile=True).plan.fused_blocks == ()
    assert vc.attach(model, ["a_relu"], jit_compile=True, compile_fused_blocks=True).plan.fused_blocks == (
        ("a_bn", "a_relu"),
    )


def test_one_layer_alone_is_none() -> None:
    image = keras.Input(IMAGE)
    x = L.ReLU(name="relu")(L.Conv2D(4, 3, name="one")(image))
    x = L.BatchNormalization(name="bn")(L.Conv2D(4, 3, name="two")(x))
    assert blocks(ended(image, x)) == []


def test_what_is_tapped_itself_ends_a_block() -> None:
    model = two_blocks()
    explained = vc.attach(model, ["a_bn", "a_relu", "b_conv", "b_silu"], jit_compile=True, compile_fused_blocks=True)
    assert explained.plan.fused_blocks == (("b_bn", "b_silu"),)
    x = images(2)
    check_equal(explained(x), vc.attach(model, ["a_bn", "a_relu", "b_conv", "b_silu"])(x))


@pytest.mark.parametrize("reader", ["layer", "operation", "check", "output"])
def test_what_is_read_elsewhere_ends_a_block(reader: str) -> None:
    image = keras.Input(IMAGE)
    normal = L.BatchNormalization(name="bn")(L.Conv2D(4, 3, name="conv")(image))
    relu = L.ReLU(name="relu")(normal)
    if reader == "layer":
        model = ended(image, L.Add(name="sum")([relu, normal]))
    elif reader == "output":
        model = keras.Model(image, [L.Dense(2)(L.Flatten()(relu)), normal])
    else:
        model = _Aside() if reader == "operation" else _Checked()
        model(images(1))
    assert vc.attach(model, "relu", jit_compile=True, compile_fused_blocks=True).plan.fused_blocks == ()
    x = images(3)
    check_equal(vc.attach(model, "relu", jit_compile=True, compile_fused_blocks=True)(x), vc.attach(model, "relu")(x))


class _Own(keras.Model):
    """A model whose own code reads what its normalization returns."""

    def __init__(self) -> None:
        super().__init__(name="own")
        self.conv, self.bn = L.Conv2D(4, 3, name="conv"), L.BatchNormalization(name="bn")
        self.relu, self.pool, self.dense = L.ReLU(name="relu"), L.GlobalMaxPooling2D(), L.Dense(2)

    def call(self, x: Any) -> Any:
        return self.ended(self.bn(self.conv(x)))

    def ended(self, x: Any) -> Any:
        return self.dense(self.pool(self.relu(x)))


class _Aside(_Own):
    def ended(self, x: Any) -> Any:
        return super().ended(x) + tf.reduce_mean(x, [1, 2, 3])[:, tf.newaxis]


class _Checked(_Own):
    def ended(self, x: Any) -> Any:
        tf.debugging.assert_less(x, 1e6)
        return super().ended(x)


class _Between(_Own):
    def ended(self, x: Any) -> Any:
        return super().ended(2.0 - x)


def test_an_operation_between_ends_a_block() -> None:
    model = _Between()
    model(images(1))
    explained = vc.attach(model, "relu", jit_compile=True, compile_fused_blocks=True)
    assert explained.plan.fused_blocks == ()
    check_equal(explained(images(3)), vc.attach(model, "relu")(images(3)))


def test_layers_that_run_twice_or_keep_a_loss_are_left_alone() -> None:
    image = keras.Input(IMAGE)
    shared = L.BatchNormalization(name="shared")
    x = L.ReLU(name="one")(shared(L.Conv2D(3, 3, padding="same")(image)))
    x = L.ReLU(name="two")(shared(L.Conv2D(3, 3, padding="same")(x)))
    x = L.BatchNormalization(name="loss", activity_regularizer="l2")(L.Conv2D(3, 3)(x))
    x = L.Activation("softmax", name="softmax")(L.BatchNormalization(name="bn")(L.Conv2D(3, 1)(x)))
    assert blocks(ended(image, x), ["one", "two", "loss", "softmax"]) == []


def test_a_normalization_trains_if_the_caller_says_so() -> None:
    """Even one that the model calls with ``training=True``: unless told otherwise, explained models don't train."""
    keras.utils.set_random_seed(0)
    image = keras.Input(IMAGE)
    normal = L.BatchNormalization(name="bn")
    x = L.Conv2D(4, 3, name="conv")(image)
    model = ended(image, L.ReLU(name="relu")(normal(x, training=True)))
    batch, before = images(3), [weight.copy() for weight in normal.get_weights()]
    explained = compiled(model)
    for given, meant in ((None, False), (False, False), (True, True)):
        normal.set_weights(before)
        want, moved = model(batch, training=meant), normal.get_weights()
        normal.set_weights(before)
        np.testing.assert_allclose(explained(batch, training=given)["predictions"], want, rtol=0, atol=1e-6)
        for weight, expected in zip(normal.get_weights(), moved, strict=True):
            np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-6)
        assert np.array_equal(moved[2], before[2]) != meant


def test_functions_and_nested_models() -> None:
    inner_image = keras.Input(IMAGE)
    inner = keras.Model(inner_image, block(inner_image, "a", keras.ops.relu), name="inner")
    image = keras.Input(IMAGE)
    model = ended(image, L.ReLU(6.0, name="outer")(inner(image)))
    x = images(2)
    [through] = blocks(model, "inner/a_conv")
    assert (len(through), through[0], through[2]) == (3, "inner/a_bn", "outer")
    [inside] = vc.attach(model, "inner", jit_compile=True, compile_fused_blocks=True).plan.fused_blocks
    assert inside == through[:2]
    check_equal(compiled(model)(x), vc.attach(model, after_activation=True)(x))


def test_methods_that_explain_a_class_run_each_layer_by_itself() -> None:
    model, x = two_blocks(), images(2)
    for method in ("gradcam", "reciprocam"):
        with pytest.raises(InvalidArgumentError, match=r"`compile_fused_blocks` must be False with .*Received: True"):
            compiled(model, "b_conv", method=method)
        explained = vc.attach(model, "b_conv", method=method, after_activation=True, jit_compile=True)
        assert explained.plan.fused_blocks == ()
        assert functions(explained) == []
        check_equal(explained(x), vc.attach(model, "b_conv", method=method, after_activation=True)(x))


# What it computes ------------------------------------------------------------------------------------------------


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("count", [1, 3])
def test_equals_the_model_eager_in_a_graph_and_under_xla(count: int) -> None:
    model, x = two_blocks(), images(count)
    explained, want = compiled(model), vc.attach(model, after_activation=True)(x)
    np.testing.assert_allclose(want["predictions"], model(x), rtol=0, atol=1e-6)
    for run in (explained, tf.function(explained.call), tf.function(explained.call, jit_compile=True)):
        check_equal(run(x), want)
    check_equal(explained.predict(x, verbose=0), want)
    check_equal(
        compiled(model, heatmap_dtype="uint8")(x),
        vc.attach(model, after_activation=True, heatmap_dtype="uint8")(x),
        1.0,
    )


@pytest.mark.slow
def test_every_activation() -> None:
    x = images(2) - 0.5
    names = ["relu", "relu6", "silu", "gelu", "elu", "selu", "celu", "hard_sigmoid", "hard_silu", "hard_tanh"]
    names += ["leaky_relu", "log_sigmoid", "mish", "sigmoid", "softplus", "softsign", "tanh"]
    for activation in [*map(L.Activation, names), L.PReLU(), L.ELU(), L.LeakyReLU(0.2), L.ReLU(2.0, 0.1, 0.2)]:
        image = keras.Input(IMAGE)
        model = ended(image, block(image, "a", activation))
        [found] = blocks(model)
        assert found == ("a_bn", activation.name)
        check_equal(compiled(model)(x), vc.attach(model, after_activation=True)(x))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy: str) -> None:
    image, x = keras.Input(IMAGE), images(3)
    with _policy(policy):
        model = ended(image, block(image, "a", L.ReLU(name="a_relu")))
    explained = compiled(model)
    assert blocks(model) == [("a_bn", "a_relu")]
    assert explained(x)["predictions"].dtype == model(x).dtype
    got, want = explained(x), vc.attach(model, after_activation=True)(x)
    step = 2.0**-10 if policy == "mixed_float16" else 2.0**-7
    check_equal(_floats(got), _floats(want), 16 * step)


def test_gradients_flow_through_it() -> None:
    model, x = two_blocks(), tf.constant(images(2))
    found = []
    for run in (model, lambda batch: compiled(model)(batch)["predictions"]):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(run(x) ** 2)
        found.append(tape.gradient(loss, x).numpy())
    assert np.abs(found[0]).max() > 1e-3
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6)


def test_unknown_sizes_and_other_batches() -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    model = ended(image, block(image, "a", L.ReLU(name="a_relu")))
    explained, plain = compiled(model), vc.attach(model, after_activation=True)
    for shape in ((1, 6, 7, 3), (3, 9, 5, 3)):
        x = np.random.default_rng(0).random(shape, np.float32)
        check_equal(explained(x), plain(x))


# What it leaves alone --------------------------------------------------------------------------------------------


def test_training_runs_each_layer_by_itself() -> None:
    model, other, x = two_blocks(), two_blocks(), images(4)
    other.set_weights(model.get_weights())
    got = compiled(model)(x, training=True)
    np.testing.assert_allclose(got["predictions"], other(x, training=True), rtol=0, atol=1e-6)
    for weight, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-6)


def test_new_weights_count_at_once() -> None:
    model, x = two_blocks(), images(2)
    explained = compiled(model)
    run = tf.function(lambda batch: explained(batch))
    run(x)
    model.get_layer("a_bn").set_weights([np.full(4, value, np.float32) for value in (2.0, 0.5, 0.1, 3.0)])
    check_equal(run(x), vc.attach(model, after_activation=True)(x))


def test_another_explained_model_around_it_sees_each_layer() -> None:
    model, x = two_blocks(), images(2)
    inner = compiled(model)
    image = keras.Input(IMAGE)
    outer = keras.Model(image, inner(image)["predictions"])
    got = vc.attach(outer, [f"{inner.name}/{model.name}/{name}" for name in ("a_bn", "a_relu")])(x)
    want = vc.attach(model, ["a_bn", "a_relu"])(x)
    for got_map, want_map in zip(list(got.values())[1:], list(want.values())[1:], strict=True):
        np.testing.assert_allclose(got_map, want_map, rtol=0, atol=1e-5)


def test_nothing_stays_behind_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = two_blocks(), images(2)
    explained = compiled(model)
    before = {layer.name: set(vars(layer)) for layer in model.layers}
    with monkeypatch.context() as patch:
        patch.setattr(L.ReLU, "call", lambda self, inputs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            explained(x)
    assert {layer.name: set(vars(layer)) for layer in model.layers} == before
    check_equal(explained(x), vc.attach(model, after_activation=True)(x))


@pytest.mark.slow
def test_saved_loaded_and_exported(tmp_path: Path) -> None:
    explained, x = compiled(two_blocks()), images(2)
    want = explained(x)
    explained.save(tmp_path / "explained.keras")
    loaded = keras.models.load_model(tmp_path / "explained.keras")
    assert loaded.plan.fused_blocks == explained.plan.fused_blocks
    assert len(functions(loaded)) == 2
    check_equal(loaded(x), want)
    with exporting():
        assert not functions(
            vc.attach(two_blocks(), jit_compile=True, compile_fused_blocks=True, after_activation=True)
        )
    folder = vc.export_saved_model(explained, tmp_path / "saved")
    served = tf.saved_model.load(str(folder)).signatures["serving_default"](tf.constant(x))
    check_equal({key: served[key] for key in want}, want)
    assert vc.export_tflite(explained, tmp_path / "model.tflite").builtin_only


def _floats(outputs: Any) -> dict[str, Any]:
    return {key: tf.cast(one, tf.float32) for key, one in outputs.items()}


class _policy:  # noqa: N801
    """Keras's global policy for a while."""

    def __init__(self, name: str) -> None:
        self.name, self.before = name, keras.config.dtype_policy()

    def __enter__(self) -> None:
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *error: object) -> None:
        keras.config.set_dtype_policy(self.before)
