"""The converters that people call on any Keras model give what ``predict`` gives, or an error with the right call."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError, UnsupportedOperationError
from visualcnn_tf.export import saved_model_verification
from visualcnn_tf.export.tflite_interpreter import interpreter

X = np.random.default_rng(0).random((1, 16, 16, 3)).astype("float32")


def cnn(*first: Any, dtype: str = "float32") -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((16, 16, 3), name="image", dtype=dtype), *first]
    maps = [L.Conv2D(4, 3, activation="relu", name="conv"), L.BatchNormalization(), L.Conv2D(6, 3, name="deep")]
    return keras.Sequential([*inputs, *maps, L.ReLU(), L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")])


def pair() -> keras.Model:
    keras.utils.set_random_seed(0)
    scan, mask = keras.Input((16, 16, 1), name="scan"), keras.Input((16, 16, 1), name="mask")
    convs = [L.GlobalAveragePooling2D()(L.Conv2D(3, 3, name=f"{i.name}_conv")(i)) for i in (scan, mask)]
    return keras.Model([scan, mask], L.Dense(2)(L.Concatenate()(convs)))


OPTIONS: dict[str, dict[str, Any]] = {
    "deviation": {},
    "class method": {"layers": "last", "method": "gradcam"},
    "compiled": {"method": "l2", "jit_compile": True},
    "raw": {"layers": "deep", "method": "layercam", "size": None, "normalize": None},
    "overlay": {"layers": "last", "render": "overlay"},
}


def assert_same(got: dict[str, Any], want: dict[str, Any], tolerance: float = 2e-5) -> None:
    assert set(got) == set(want)
    for name, value in want.items():
        limit = 1.01 if value.dtype == np.uint8 else tolerance
        np.testing.assert_allclose(np.asarray(got[name], float), value.astype(float), atol=limit, err_msg=name)


def run_tflite(content: bytes, *tensors: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of a file; inputs by their order in the name, since a file of lists names them by number."""
    runner = interpreter(content).get_signature_runner()
    names = sorted(runner.get_input_details())
    return dict(runner(**dict(zip(names, tensors, strict=True))))


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("options", OPTIONS)
def test_from_keras_model(options: str) -> None:
    explained = vc.attach(cnn(), **OPTIONS[options])
    content = tf.lite.TFLiteConverter.from_keras_model(explained).convert()
    assert_same(run_tflite(content, X), explained.predict(X, verbose=0))


@pytest.mark.slow
def test_from_keras_model_with_random_layers_of_integers_and_of_two_images() -> None:
    explained = vc.attach(cnn(L.RandomFlip(), L.GaussianNoise(1.0)), "last", method="gradcam")
    content = tf.lite.TFLiteConverter.from_keras_model(explained).convert()
    assert_same(run_tflite(content, X), explained.predict(X, verbose=0))
    pixels = np.round(255 * X).astype("uint8")
    explained = vc.attach(cnn(L.Rescaling(1 / 255), dtype="uint8"), "last", method="gradcam")
    content = tf.lite.TFLiteConverter.from_keras_model(explained).convert()
    assert_same(run_tflite(content, pixels), explained.predict(pixels, verbose=0))
    explained = vc.attach(pair(), "scan_conv", method="gradcam", target=1)
    content = tf.lite.TFLiteConverter.from_keras_model(explained).convert()
    scan, mask = X[..., :1], X[..., 1:2]
    assert_same(run_tflite(content, scan, mask), explained.predict([scan, mask], verbose=0))


def test_from_keras_model_names_the_right_call_where_it_can_not() -> None:
    explained = vc.attach(cnn(), "last", method="gradcam", target="input")
    with pytest.raises(UnsupportedOperationError, match=r"'class_index', 'int32'.*Use `visualcnn_tf.export_tflite\("):
        tf.lite.TFLiteConverter.from_keras_model(explained).convert()


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("options", OPTIONS)
def test_tf_saved_model_save(options: str, tmp_path: Path) -> None:
    explained = vc.attach(cnn(L.RandomFlip()), **OPTIONS[options])
    explained(X)
    tf.saved_model.save(explained, str(tmp_path / "m"))
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    want = explained.predict(X, verbose=0)
    for _ in range(2):
        assert_same(loaded.signatures["serving_default"](image=tf.constant(X)), want)
    with saved_model_verification._session(tmp_path / "m", "cnn") as served:  # as a server loads it
        assert_same(served("serving_default", {"image": X}), want)


def test_tf_saved_model_save_of_several_inputs_and_a_class_index(tmp_path: Path) -> None:
    explained = vc.attach(pair(), "scan_conv", method="gradcam", target="input")
    inputs = {"scan": X[..., :1], "mask": X[..., 1:2], "class_index": np.int32([0])}
    tf.saved_model.save(explained, str(tmp_path / "m"))
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    served = loaded.signatures["serving_default"](**{name: tf.constant(value) for name, value in inputs.items()})
    assert_same(served, explained.predict(inputs, verbose=0))


def test_keras_export_of_several_inputs_and_a_class_index(tmp_path: Path) -> None:
    explained = vc.attach(pair(), "scan_conv", method="gradcam", target="input")
    inputs = {"scan": X[..., :1], "mask": X[..., 1:2], "class_index": np.int32([0])}
    explained.export(tmp_path / "m", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    assert_same(loaded.serve({k: tf.constant(v) for k, v in inputs.items()}), explained.predict(inputs, verbose=0))


def by_name(results: Any, explained: vc.ExplainedModel) -> dict[str, np.ndarray]:
    """The results of OpenVINO, in which a tensor may have further names."""
    known = set(explained.output_names)
    return {(port.names & known).pop(): value for port, value in results.items()}


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
def test_openvino_convert_model(options: str) -> None:
    openvino = pytest.importorskip("openvino")
    explained = vc.attach(cnn(L.RandomFlip()), **OPTIONS[options])
    converted = openvino.convert_model(explained)
    compiled = openvino.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert_same(by_name(compiled(X), explained), explained.predict(X, verbose=0))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["predicted", "input"])
def test_openvino_convert_model_of_several_inputs(target: str) -> None:
    openvino = pytest.importorskip("openvino")
    explained = vc.attach(pair(), "scan_conv", method="gradcam", target=target)
    inputs: dict[str, Any] = {"scan": X[..., :1], "mask": X[..., 1:2]}
    if target == "input":
        inputs["class_index"] = np.int32([0])
    compiled = openvino.compile_model(openvino.convert_model(explained), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert_same(by_name(compiled(inputs), explained), explained.predict(inputs, verbose=0))


def test_an_hdf5_file_is_refused_before_it_is_written(tmp_path: Path) -> None:
    model = cnn()
    explained = vc.attach(model, "last", method="gradcam")
    for name in ("m.h5", "m.hdf5"):
        with pytest.raises(InvalidArgumentError, match=r"`filepath` must be a file that ends in .keras.*model.save"):
            explained.save(tmp_path / name)
        assert not (tmp_path / name).exists()
    explained.model.save(tmp_path / "bare.keras")


@pytest.mark.slow
def test_a_saved_file_is_loaded_in_a_fresh_process(tmp_path: Path) -> None:
    """As `mlflow.keras` and others do, which import Keras and nothing else: Keras's own way to name the package."""
    explained = vc.attach(cnn(), "last", method="gradcam")
    explained.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", X)
    program = (
        "import sys, numpy as np, keras\n"
        "if sys.argv[2] == 'imported': import visualcnn_tf\n"
        "model = keras.saving.load_model(sys.argv[1] + '/m.keras')\n"
        "np.savez(sys.argv[1] + '/out.npz', **model.predict(np.load(sys.argv[1] + '/x.npy'), verbose=0))\n"
    )
    run = lambda how: subprocess.run(  # noqa: E731
        [sys.executable, "-c", program, str(tmp_path), how], capture_output=True, text=True, check=False
    )
    imported = run("imported")
    assert imported.returncode == 0, imported.stderr
    assert_same(dict(np.load(tmp_path / "out.npz")), explained.predict(X, verbose=0))
    bare = run("bare")
    assert "ExplainedModel" in bare.stderr
    assert "make sure they are all imported" in bare.stderr
