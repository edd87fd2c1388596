"""What attach promises beside the kinds of models: options, training, data pipelines, threads, distribution."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support import oracle
from support.method_objects import ACTIVATION_METHODS
from support.model_kinds import Subclassed, images, small_cnn_layers

import visualcnn_tf as vc
from visualcnn_tf.heatmap.combine import combine_maps


@pytest.fixture
def model() -> Any:
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((12, 12, 2)), *small_cnn_layers()], name="cnn")


@pytest.fixture
def x() -> np.ndarray:
    return images(3, 12, 12, 2)


def activations(model: Any, x: np.ndarray, name: str) -> np.ndarray:
    for layer in model.layers:
        x = layer(x)
        if layer.name == name:
            return np.asarray(x)
    raise AssertionError(name)


def test_outputs_are_a_flat_dict_in_graph_order(model: Any, x: np.ndarray) -> None:
    explained = vc.attach(model, ["conv_b", "conv_a"], combine="mean")
    keys = ["predictions", "heatmap_conv_a", "heatmap_conv_b", "heatmap"]
    assert explained.output_names == keys
    assert list(explained.predict(x, verbose=0)) == keys
    assert list(explained.predict_on_batch(x)) == keys
    assert list(explained(x)) == keys
    assert list(tf.function(explained)(x)) == keys


@pytest.mark.sweep
@pytest.mark.parametrize("method", ACTIVATION_METHODS)
@pytest.mark.parametrize("size", ["input", None, (5, 31)])
def test_every_fusion_and_size_equals_the_oracle(model: Any, x: np.ndarray, method: str, size: Any) -> None:
    outputs = vc.attach(model, method=method, size=size)(x)
    for name in ("conv_a", "pool", "conv_b"):
        truth = activations(model, x, name)
        target = {"input": (12, 12), None: truth.shape[1:3]}.get(size, size)
        want = oracle.heatmap(truth, method, target, "bilinear", "minmax")
        np.testing.assert_allclose(outputs[f"heatmap_{name}"], want, atol=2e-5, err_msg=name)


@pytest.mark.sweep
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic", "area"])
@pytest.mark.parametrize("normalize", ["minmax", "max", ("range", 0.1, 0.5), None])
def test_every_interpolation_and_normalization(model: Any, x: np.ndarray, interpolation: str, normalize: Any) -> None:
    outputs = vc.attach(model, "pool", interpolation=interpolation, normalize=normalize, size=(9, 4))(x)
    want = oracle.heatmap(activations(model, x, "pool"), "deviation", (9, 4), interpolation, normalize)
    np.testing.assert_allclose(outputs["heatmap_pool"], want, atol=1e-5)


def test_small_output_types(model: Any, x: np.ndarray) -> None:
    exact = vc.attach(model, "pool")(x)["heatmap_pool"].numpy()
    half = vc.attach(model, "pool", heatmap_dtype="float16").predict(x, verbose=0)["heatmap_pool"]
    byte = vc.attach(model, "pool", heatmap_dtype="uint8").predict(x, verbose=0)["heatmap_pool"]
    assert half.dtype == np.float16
    assert byte.dtype == np.uint8
    np.testing.assert_allclose(half, exact, atol=5e-4)
    np.testing.assert_allclose(byte / 255.0, exact, atol=0.5 / 255 + 1e-6)


def test_methods_by_pattern(model: Any, x: np.ndarray) -> None:
    explained = vc.attach(model, method={"conv_a": "max", "conv_*": "l2"})
    assert [tap.method for tap in explained.taps] == [vc.methods.Max(), vc.methods.Deviation(), vc.methods.L2()]
    outputs = explained(x)
    for name, method in [("conv_a", "max"), ("pool", "deviation"), ("conv_b", "l2")]:
        want = oracle.heatmap(activations(model, x, name), method, (12, 12), "bilinear", "minmax")
        np.testing.assert_allclose(outputs[f"heatmap_{name}"], want, atol=1e-5)


@keras.saving.register_keras_serializable(package="tests")
def first_channel(maps: Any) -> Any:
    return maps[..., 0]


def test_callable_fusion_and_its_round_trip(model: Any, x: np.ndarray, tmp_path: Any) -> None:
    explained = vc.attach(model, "conv_a", method=first_channel, normalize=None, size=None)
    want = activations(model, x, "conv_a")[..., 0]
    np.testing.assert_allclose(explained(x)["heatmap_conv_a"], want, atol=1e-6)
    explained.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(loaded(x)["heatmap_conv_a"], want, atol=1e-6)


def unregistered(maps: Any) -> Any:
    return maps[..., 0]


def test_saving_warns_of_a_callable_that_will_not_load(model: Any, tmp_path: Any) -> None:
    explained = vc.attach(model, "conv_a", method=unregistered)
    with pytest.warns(vc.errors.NotSerializableWarning, match=r"`method` .*register_keras_serializable"):
        explained.save(tmp_path / "m.keras")
    with pytest.raises(TypeError, match="unregistered"):
        keras.models.load_model(tmp_path / "m.keras")


@pytest.mark.parametrize("combine", ["mean", "max", "product"])
@pytest.mark.parametrize("weights", [None, {"conv_*": 0.5}, [1, 0, 3]])
def test_combine(model: Any, x: np.ndarray, combine: str, weights: Any) -> None:
    outputs = vc.attach(model, combine=combine, combine_weights=weights)(x)
    numbers = (
        {None: [1, 1, 1]}.get(weights) if weights is None else [0.5, 1, 0.5] if isinstance(weights, dict) else weights
    )
    maps = [outputs[f"heatmap_{name}"].numpy().astype("float64") for name in ("conv_a", "pool", "conv_b")]
    want = oracle.normalized(oracle.combine(maps, combine, numbers), "minmax")
    np.testing.assert_allclose(outputs["heatmap"], want, atol=1e-5)


def test_combine_by_a_callable(model: Any, x: np.ndarray) -> None:
    outputs = vc.attach(model, combine=lambda maps: maps[0] - maps[2])(x)
    want = oracle.normalized((outputs["heatmap_conv_a"] - outputs["heatmap_conv_b"]).numpy(), "minmax")
    np.testing.assert_allclose(outputs["heatmap"], want, atol=1e-5)
    with pytest.raises(vc.errors.InvalidArgumentError, match="`combine` must return"):
        combine_maps([tf.zeros((2, 3, 3))], lambda maps: maps[0][0], None, "minmax")


def test_training_passes_through() -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(4, 3, name="conv"), L.BatchNormalization(), L.Flatten()])
    explained, x = vc.attach(model), images(16, 8, 8, 1)
    np.testing.assert_array_equal(explained(x)["predictions"], model(x))
    np.testing.assert_array_equal(explained(x, training=True)["predictions"], model(x, training=True))
    assert np.abs(explained(x, training=True)["predictions"] - model(x)).max() > 0.1


def test_later_changes_of_weights_show(model: Any, x: np.ndarray) -> None:
    model.compile("sgd", "sparse_categorical_crossentropy")
    explained = vc.attach(model)
    before = explained.predict(x, verbose=0)
    model.fit(x, np.array([0, 1, 2]), epochs=2, verbose=0)
    after = explained.predict(x, verbose=0)
    assert np.abs(after["predictions"] - before["predictions"]).max() > 1e-4
    np.testing.assert_allclose(after["predictions"], model.predict(x, verbose=0), atol=1e-6)
    want = oracle.heatmap(activations(model, x, "conv_b"), "deviation", (12, 12), "bilinear", "minmax")
    np.testing.assert_allclose(after["heatmap_conv_b"], want, atol=1e-5)
    assert [id(w) for w in explained.weights] == [id(w) for w in model.weights]


def test_the_explained_model_can_be_trained(model: Any, x: np.ndarray) -> None:
    explained = vc.attach(model)
    explained.compile("sgd", loss={"predictions": "sparse_categorical_crossentropy"})
    before = model.get_weights()[0]
    explained.fit(x, {"predictions": np.array([0, 1, 2])}, verbose=0)
    assert np.abs(model.get_weights()[0] - before).max() > 0


def test_tf_data(model: Any, x: np.ndarray) -> None:
    explained = vc.attach(model)
    want = explained.predict(x, verbose=0)
    for data in (
        tf.data.Dataset.from_tensor_slices(x).batch(2),
        tf.data.Dataset.from_tensor_slices((x, [0, 1, 2])).batch(2),
    ):
        got = explained.predict(data, verbose=0)
        for key in want:
            np.testing.assert_allclose(got[key], want[key], atol=1e-6)


def test_each_image_for_itself(model: Any, x: np.ndarray) -> None:
    explained = vc.attach(model)
    together = explained(x)
    for i in range(3):
        alone = explained(x[i : i + 1])
        for key in together:
            np.testing.assert_allclose(alone[key][0], together[key][i], atol=1e-6)


def test_empty_batch(model: Any, x: np.ndarray) -> None:
    explained = vc.attach(model, heatmap_dtype="uint8")
    empty = tf.data.Dataset.from_tensor_slices(x[:0]).batch(2)
    for outputs in (explained.predict(x[:0], verbose=0), explained(x[:0]), explained.predict(empty, verbose=0)):
        assert {key: tuple(value.shape) for key, value in outputs.items()} == {
            "predictions": (0, 4),
            "heatmap_conv_a": (0, 12, 12),
            "heatmap_pool": (0, 12, 12),
            "heatmap_conv_b": (0, 12, 12),
        }
        assert outputs["heatmap_pool"].dtype == "uint8"


def test_nan_input_gives_zeros_or_an_error_that_names_the_layer(x: np.ndarray) -> None:
    # No ReLU: fused into a convolution, it turns NaN into 0.
    linear = [L.Conv2D(4, 3, name="conv_a"), L.AveragePooling2D(2, name="pool"), L.Flatten()]
    model = keras.Sequential([keras.Input((12, 12, 2)), *linear])
    x[1, 2, 3, 0] = np.nan
    outputs = vc.attach(model).predict(x, verbose=0)
    for key in ("heatmap_conv_a", "heatmap_pool"):
        assert not outputs[key][1].any()
        assert outputs[key][0].max() == outputs[key][2].max() == 1.0
    strict = vc.attach(model, check_numerics=True)
    with pytest.raises(vc.NanLayerOutputError, match="'conv_a'"):
        strict.predict(x, verbose=0)
    with pytest.raises(vc.NanLayerOutputError, match="'conv_a'"):
        strict(x)
    assert strict.predict(x[:1], verbose=0)["heatmap_pool"].max() == 1.0


def test_tracing_once_serves_every_batch_size(model: Any) -> None:
    traced = []

    def spy(maps: Any) -> Any:
        traced.append(maps.shape)
        return tf.reduce_mean(maps, -1)

    explained = vc.attach(model, "conv_a", method=spy)
    explained.predict(images(4, 12, 12, 2), batch_size=2, verbose=0)
    explained.predict(images(5, 12, 12, 2), batch_size=3, verbose=0)
    count = len(traced)
    for n in (1, 2, 7):
        explained.predict(images(n, 12, 12, 2), verbose=0)
    assert len(traced) == count


def test_an_explained_model_is_a_layer_like_any_other(model: Any, x: np.ndarray) -> None:
    explained = vc.attach(model, "pool")
    image = keras.Input((12, 12, 2))
    outer = keras.Model(image, L.Average()([explained(image)["heatmap_pool"], explained(image)["heatmap_pool"]]))
    np.testing.assert_allclose(outer(x), explained(x)["heatmap_pool"], atol=1e-6)


def test_nothing_stays_on_the_model_after_an_exception(x: np.ndarray) -> None:
    class Moody(L.Layer):
        broken = False

        def call(self, inputs: Any) -> Any:
            if self.broken:
                raise ValueError("broken layer")
            return inputs * 2.0

    moody = Moody(name="moody")
    model = keras.Sequential([keras.Input((12, 12, 2)), L.Conv2D(3, 3, name="conv"), moody, L.Flatten()])
    explained = vc.attach(model)
    moody.broken = True
    for attempt in (lambda: explained(x), lambda: vc.attach(model)):
        with pytest.raises((ValueError, vc.IncompatibleModelError), match="broken layer"):
            attempt()
        assert not any("call" in vars(layer) for layer in model.layers)
    moody.broken = False
    np.testing.assert_array_equal(explained(x)["predictions"], model(x))


def test_deferred_until_the_first_call(x: np.ndarray) -> None:
    explained = vc.attach(Subclassed(), "conv")
    for attribute in ("inputs", "outputs", "taps", "output_names"):
        with pytest.raises(vc.errors.NotBuiltError, match="input_shape"):
            getattr(explained, attribute)
    explained(x)
    assert explained.output_names == ["predictions", "heatmap_block_block_conv", "heatmap_conv"]
    assert explained.inputs[0].shape == (None, 12, 12, 2)
    with pytest.raises(vc.errors.LayerNotFoundError, match="conv_z"):
        vc.attach(Subclassed(), "conv_z")(x)


def test_a_subclassed_model_takes_other_sizes(x: np.ndarray) -> None:
    model = Subclassed()
    model(x)
    outputs = vc.attach(model).predict(images(2, 15, 9, 2), verbose=0)
    assert outputs["heatmap_conv"].shape == (2, 15, 9)


def test_time_distributed_with_unknown_steps_is_refused() -> None:
    clip = keras.Input((None, 8, 8, 1))
    frames = L.TimeDistributed(L.Conv2D(2, 3, name="conv"), name="frames")(clip)
    model = keras.Model(clip, L.GlobalAveragePooling3D()(frames))
    with pytest.raises(vc.errors.NoFeatureMapError, match="unknown number of steps"):
        vc.attach(model, "frames")
    explained = vc.attach(model, "frames", input_shape=(3, 8, 8, 1))
    assert explained(images(2, 3, 8, 8, 1))["heatmap_frames_conv"].shape == (2, 3, 8, 8)


def test_conv_lstm_gives_one_map_for_each_step() -> None:
    layer = L.ConvLSTM2D(3, 3, padding="same", return_sequences=True, name="memory")
    clip = keras.Input((4, 6, 7, 1))
    model = keras.Model(clip, L.Flatten()(layer(clip)))
    x = images(2, 4, 6, 7, 1)
    heatmaps = vc.attach(model, "memory")(x)["heatmap_memory"]
    truth = layer(x).numpy()
    for step in range(4):
        want = oracle.heatmap(truth[:, step], "deviation", (6, 7), "bilinear", "minmax")
        np.testing.assert_allclose(heatmaps[:, step], want, atol=1e-5)


def test_threads_share_one_model(model: Any, x: np.ndarray) -> None:
    explained = vc.attach(model)
    want, plain = explained(x), model(x).numpy()
    failures: list[Any] = []

    def work(number: int) -> None:
        try:
            for _ in range(10):
                if number % 3 == 0:
                    np.testing.assert_allclose(model(x), plain, atol=1e-6)
                elif number % 3 == 1:
                    got = explained(x)
                    for key in want:
                        np.testing.assert_allclose(got[key], want[key], atol=1e-6)
                else:
                    got = vc.attach(model, "pool")(x)
                    np.testing.assert_allclose(got["heatmap_pool"], want["heatmap_pool"], atol=1e-6)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    assert not failures
    assert not any("call" in vars(layer) for layer in model.layers)


def run_in_fresh_process(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.mark.slow
def test_mirrored_strategy() -> None:
    output = run_in_fresh_process(
        """
        import os
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import numpy as np, tensorflow as tf, keras
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        import visualcnn_tf as vc
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 3, name="conv"),
                keras.layers.BatchNormalization(), keras.layers.Flatten(), keras.layers.Dense(2)])
            explained = vc.attach(model)
            explained.compile("sgd", loss={"predictions": "mse"})
        x = np.random.default_rng(0).normal(size=(8, 8, 8, 1)).astype("float32")
        outputs = explained.predict(x, batch_size=4, verbose=0)
        plain = vc.attach(model)(x)
        for key, value in outputs.items():
            assert abs(value - plain[key].numpy()).max() < 1e-5, key
        explained.fit(x, {"predictions": np.zeros((8, 2))}, verbose=0, batch_size=4)
        after = explained.predict(x, batch_size=4, verbose=0)["predictions"]
        assert abs(after - outputs["predictions"]).max() > 1e-4
        assert abs(after - model.predict(x, batch_size=4, verbose=0)).max() < 1e-6
        print(sorted(outputs), outputs["heatmap_conv"].shape)
        """
    )
    assert output.strip() == "['heatmap_conv', 'predictions'] (8, 8, 8)"


def test_summary_names_the_taps(model: Any) -> None:
    lines: list[str] = []
    vc.attach(model, "conv_*", method="l2").summary(print_fn=lambda line, **_: lines.append(line))
    table = "\n".join(lines).split("Explained model: ")[1]
    assert [row.split() for row in table.splitlines() if not row.startswith("--")] == [
        ['"cnn_explained"'],
        ["Output", "What", "it", "is", "Shape", "Type"],
        ["predictions", "the", "model's", "own", "output", "(B,", "4)", "float32"],
        ["heatmap_conv_a", "L2()", "of", "conv_a", "(12×12×6)", "(B,", "12,", "12)", "float32"],
        ["heatmap_conv_b", "L2()", "of", "conv_b", "(4×4×5)", "(B,", "12,", "12)", "float32"],
    ]


def test_keras_export_serves_all_outputs(model: Any, x: np.ndarray, tmp_path: Any) -> None:
    explained = vc.attach(model)
    explained.export(tmp_path / "served", verbose=False)
    artifact = tf.saved_model.load(tmp_path / "served")
    served = artifact.serve(x)
    want = explained.predict(x, verbose=0)
    assert set(served) == set(want)
    for key in want:
        np.testing.assert_allclose(served[key], want[key], atol=1e-6)
