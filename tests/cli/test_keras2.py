"""Models of Keras 2: why Keras 3 does not load them is said in full, and the advice works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import visualcnn_tf as vc
from visualcnn_tf._utils.keras2 import advice_for_file, advice_for_model, keras_2_version
from visualcnn_tf.cli.main import main

ROOT = Path(vc.__file__).parents[1]


def network(library: Any) -> Any:
    """The same network in Keras 2 or 3, with layers whose configurations differ between these."""
    layers = library.layers
    image = library.Input((12, 12, 3), name="image")
    stem = library.Sequential(
        [layers.Conv2D(5, 3, padding="same"), layers.BatchNormalization(), layers.PReLU()], name="stem"
    )
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(stem(image))
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    shortcut = x
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Add()([layers.SeparableConv2D(6, 3, padding="same", name="separable")(x), shortcut])
    x = layers.Conv2DTranspose(4, 2, strides=2, name="up")(layers.MaxPooling2D()(x))
    x = layers.GlobalAveragePooling2D()(layers.LayerNormalization(name="layer_norm")(x))
    return library.Model(image, layers.Dense(3, activation="softmax", name="classes")(x))


# Files that stand for those of Keras 2, made by Keras 3 ---------------------------------------------------------------


@pytest.fixture
def old_h5(tmp_path: Path) -> Path:
    """Keras 2 writes ``groups`` for this layer, which Keras 3 does not take."""
    path = tmp_path / "old.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the old format
        network(keras).save(path)
    with h5py.File(path, "a") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "DepthwiseConv2D":
                layer["config"] |= {"groups": 1, "long": "x" * 500}
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
    return path


@pytest.fixture
def old_keras(tmp_path: Path) -> Path:
    network(keras).save(tmp_path / "new.keras")
    path = tmp_path / "old.keras"
    with zipfile.ZipFile(tmp_path / "new.keras") as new, zipfile.ZipFile(path, "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name == "metadata.json":
                content = json.dumps({"keras_version": "2.15.0"}).encode()
            if name == "config.json":
                content = content.replace(b'"MaxPooling2D"', b'"OldPooling2D"')
            old.writestr(name, content)
    return path


def test_what_keras_says_of_an_h5_file_is_not_cut(old_h5: Path, capsys: Any) -> None:
    assert main(["layers", str(old_h5)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"visualcnn: error: `{old_h5}` can't be loaded: it was written by Keras 2.15.0, and Keras 3")
    assert "'groups': 1" in said
    assert "x" * 500 in said
    assert advice_for_file(old_h5) in said
    assert f"`model.load_weights('{old_h5}')`" in said
    assert said.count("\n") == 1


def test_a_keras_file_of_keras_2(old_keras: Path, capsys: Any) -> None:
    assert main(["layers", str(old_keras)]) == 2
    said = capsys.readouterr().err
    assert "it was written by Keras 2.15.0" in said
    assert "'keras.layers.OldPooling2D'" in said
    assert advice_for_file(old_keras) in said
    assert len(said) < 1200  # without the configuration of the whole model


def test_the_version_is_read_from_the_file(old_h5: Path, old_keras: Path, tmp_path: Path) -> None:
    assert keras_2_version(old_h5) == keras_2_version(old_keras) == "2.15.0"
    assert keras_2_version(tmp_path / "new.keras") is None
    for name, content in {"text.h5": b"text", "empty.keras": b"", "start.h5": b"\x89HDF\r\n\x1a\n"}.items():
        (tmp_path / name).write_bytes(content)
        assert keras_2_version(tmp_path / name) is None
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.create_group("data")
    assert keras_2_version(tmp_path / "other.h5") is None


# Keras 2 itself ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Keras 2 writes of the network, and what it returns, in a process of its own."""
    folder = tmp_path_factory.mktemp("keras2")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder / "packages")]
    installed = subprocess.run([*pip, "tf_keras"], capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"tf_keras is not there, and the advice on Keras 2 is not tried: {installed.stderr[-300:]}")
    code = """
        import sys, warnings
        import numpy as np, tensorflow as tf, tf_keras
        sys.path[:0] = [sys.argv[2], sys.argv[2] + "/tests"]
        from cli.test_keras2 import network
        import visualcnn_tf as vc
        folder = sys.argv[1]
        tf_keras.utils.set_random_seed(5)
        model = network(tf_keras)
        rng = np.random.default_rng(0)
        for weight in model.weights:  # moving averages, too
            lowest = 0.1 if "variance" in weight.name else -1
            weight.assign(rng.uniform(lowest, 1, weight.shape))
        x = np.random.default_rng(1).uniform(size=(4, 12, 12, 3)).astype("float32")
        np.savez(folder + "/truth.npz", x=x, y=model.predict(x, verbose=0))
        model.save_weights(folder + "/old.h5")
        model.save_weights(folder + "/old.weights.h5")
        model.save(folder + "/model.h5")
        model.save(folder + "/model.keras")
        tf.saved_model.save(model, folder + "/saved")
        try:
            vc.attach(model)
        except vc.IncompatibleModelError as error:
            print(error)
    """
    environment = {**os.environ, "PYTHONPATH": str(folder / "packages")}
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    (folder / "said.txt").write_text(done.stdout)
    shutil.rmtree(folder / "packages")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["old.h5", "old.weights.h5", "model.h5", "model.keras"])
def test_weights_of_keras_2_load_into_the_same_network(written: Path, name: str) -> None:
    truth = np.load(written / "truth.npz")
    model = network(keras)
    model.load_weights(written / name)
    np.testing.assert_allclose(model.predict(truth["x"], verbose=0), truth["y"], atol=1e-5)
    heatmaps = vc.attach(model, "last").predict(truth["x"], verbose=0)
    np.testing.assert_allclose(heatmaps["predictions"], truth["y"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_the_command_says_what_to_do_with_a_file_of_keras_2(written: Path, name: str, capsys: Any) -> None:
    assert main(["layers", str(written / name)]) == 2
    said = capsys.readouterr().err
    assert "it was written by Keras 2." in said
    assert advice_for_file(written / name) in said


@pytest.mark.slow
def test_a_model_of_keras_2_is_refused_with_the_same_advice(written: Path) -> None:
    said = (written / "said.txt").read_text()
    assert "Received: a Keras 2 (`tf_keras`) model, Functional." in said
    assert advice_for_model() in said


@pytest.mark.slow
def test_a_saved_model_of_keras_2_is_explained_as_it_is(written: Path, tmp_path: Path) -> None:
    truth = np.load(written / "truth.npz")
    model = vc.load_graph(written / "saved")
    np.testing.assert_allclose(model.predict(truth["x"], verbose=0), truth["y"], atol=1e-6)
    rebuilt = network(keras)
    rebuilt.load_weights(written / "old.h5")
    # Not the last layer, which a layer normalization and an average follow: its gradients cancel.
    for layers, method in ((("stages", "stages"), "deviation"), (("add", "model/add/add"), "hirescam")):
        one, other = (vc.attach(each, name, method=method) for each, name in zip((rebuilt, model), layers, strict=True))
        expected, got = one(truth["x"]), other(truth["x"])
        assert len(one.taps) == len(other.taps)
        for tap, same in zip(one.taps, other.taps, strict=True):
            np.testing.assert_allclose(got[same.key], expected[tap.key], atol=1e-4, err_msg=same.path)
