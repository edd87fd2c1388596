"""Explained models saved and loaded: the same heatmaps under the same keys, whatever Keras calls the layers by then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from support import reloaded_explained
from support.oracle import assert_close
from support.oracle_gradient import finished, fuse
from support.reloaded_models import MODELS, Block, conv, make_others

import visualcnn_tf as vc

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-W", "ignore", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# --- every kind of model whose layers may be renamed ---


def save(name: str, folder: Path) -> None:
    """Save an explained model of a kind, with inputs and outputs, once in each folder."""
    if (folder / f"{name}.keras").exists():
        return
    outputs = reloaded_explained.save(name, folder)
    heatmaps = [value for key, value in outputs.items() if key.startswith("heatmap_") and "gradcam" not in key]
    # Of no two taps the same, so that a tap of the wrong layer would show.
    assert len({value.tobytes() for value in heatmaps}) == len(heatmaps) >= 2


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explained")


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("name", MODELS)
def test_loaded_in_the_same_session_after_others_were_made(saved: Path, name: str) -> None:
    save(name, saved)
    make_others()
    reloaded_explained.load_and_check(saved, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["custom_layers_in_a_sequential", "subclassed", "lists_and_dicts"])
def test_saved_loaded_and_saved_again(saved: Path, name: str, tmp_path: Path) -> None:
    save(name, saved)
    loaded = reloaded_explained.load_and_check(saved, name)
    loaded.save(tmp_path / f"{name}.keras")
    for ending in ("in", "out"):
        (tmp_path / f"{name}.{ending}.npz").write_bytes((saved / f"{name}.{ending}.npz").read_bytes())
    make_others()
    reloaded_explained.load_and_check(tmp_path, name)


@pytest.mark.slow
def test_loaded_in_a_fresh_process_after_others_were_made(saved: Path) -> None:
    for name in MODELS:
        save(name, saved)
    assert set(run("-m", "support.reloaded_explained", saved).split()) == set(MODELS)


# --- one layer of several without names ---

X = np.random.default_rng(0).random((2, 8, 8, 4)).astype("float32")


def gradcam_of_the_second_convolution(block: Block, dense: L.Dense) -> dict[int, np.ndarray]:
    """Of the global mean and a dense layer after it: the kernel is the gradient, up to the number of positions."""
    a = block.second(block.first(X)).numpy()
    return {
        k: finished(fuse(a, np.broadcast_to(dense.kernel.numpy()[:, k] / 64, a.shape), "gradcam"))
        for k in range(dense.units)
    }


def test_the_second_layer_of_a_custom_layer(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    block, dense = Block(name="block"), L.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((8, 8, 4)), block, L.GlobalAveragePooling2D(), dense])
    path = f"block/{block.second.name}"
    explained = vc.attach(model, path, method="gradcam")
    before = explained.predict(X, verbose=0)
    truth = gradcam_of_the_second_convolution(block, dense)
    key = explained.heatmap_names[0]
    assert key == f"heatmap_block_{block.second.name}"
    want = np.stack([truth[k][b] for b, k in enumerate(before["explained_class"])])
    assert want.any()
    assert_close(before[key], want)

    explained.save(tmp_path / "explained.keras")
    np.savez(tmp_path / "arrays.npz", x=X, want=want)
    other = conv()  # takes the name of the first layer away, in either process
    assert other.name.startswith("conv2d")
    loaded = keras.models.load_model(tmp_path / "explained.keras")
    (tap,) = loaded.taps
    assert tap.path == f"block/{loaded.model.layers[0].second.name}"
    assert loaded.output_names == explained.output_names
    np.testing.assert_array_equal(loaded.predict(X, verbose=0)[key], before[key])

    code = """
import sys
import keras, numpy as np
from support.reloaded_models import conv
import visualcnn_tf
conv()
loaded = keras.models.load_model(sys.argv[1] + "/explained.keras")
[tap] = loaded.taps
assert tap.path == "block/" + loaded.model.layers[0].second.name, tap
arrays = np.load(sys.argv[1] + "/arrays.npz")
print(tap.key, abs(loaded.predict(arrays["x"], verbose=0)[tap.key] - arrays["want"]).max())
"""
    fresh_key, difference = run("-c", code, tmp_path).split()
    assert fresh_key == key
    assert float(difference) < 1e-5


@keras.saving.register_keras_serializable(package="test_saving")
class Tutorial(keras.Model):
    """As in every tutorial: layers without names, and a config without the layers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.c1 = L.Conv2D(8, 3, activation="relu")
        self.c2 = L.Conv2D(8, 3, activation="relu")
        self.pool = L.GlobalAveragePooling2D()
        self.dense = L.Dense(3, activation="softmax")

    def call(self, x: Any) -> Any:
        return self.dense(self.pool(self.c2(self.c1(x))))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("which", [None, "c1", "c2"])
def test_a_subclassed_model_in_the_same_session(which: str | None, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = Tutorial()
    model(X)
    explained = vc.attach(model, None if which is None else getattr(model, which), method="gradcam")
    before = explained.predict(X, verbose=0)
    assert len(explained.taps) == (2 if which is None else 1)
    explained.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    paths = [loaded.model.c1.name, loaded.model.c2.name] if which is None else [getattr(loaded.model, which).name]
    assert [tap.path for tap in loaded.taps] == paths
    after = loaded.predict(X, verbose=0)
    assert list(after) == list(before)
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value, err_msg=key)
    if which != "c1":
        a = model.c2(model.c1(X)).numpy()
        kernel = model.dense.kernel.numpy()[:, before["explained_class"]].T[:, None, None]
        want = finished(fuse(a, np.broadcast_to(kernel / 16, a.shape), "gradcam"), (8, 8))
        assert_close(after[explained.heatmap_names[-1]], want)


def test_a_layer_that_returns_another_shape_is_not_taken_for_the_saved_one(tmp_path: Path) -> None:
    model = Tutorial()
    model(X)
    config = keras.saving.serialize_keras_object(vc.attach(model, model.c2, method="gradcam"))
    config["config"]["taps"][0]["shape"] = [None, 5, 4, 8]
    with pytest.raises(vc.LayerNotFoundError, match=r"must return feature maps of shape \(None, 5, 4, 8\) in "):
        keras.saving.deserialize_keras_object(config)


def test_a_file_of_an_earlier_version_is_refused() -> None:
    model = Tutorial()
    model(X)
    config = keras.saving.serialize_keras_object(vc.attach(model))
    del config["config"]["taps"]
    with pytest.raises(vc.InvalidArgumentError, match=r"saved by visualcnn_tf 2\.0 or newer.*`attach` again"):
        keras.saving.deserialize_keras_object(config)
