"""Explained models of every kind in ``reloaded_models``, saved with what they return.

Run as a script on a folder, it makes other models, loads each file in a fresh process, and compares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from support.reloaded_models import MODELS, make_others, with_random_weights

#: Kinds whose classes are explained, too.
OF_CLASSES = ("custom_layers_in_a_sequential", "subclassed", "lists_and_dicts", "wrappers")


def explain(name: str) -> tuple[Any, Any]:
    """The explained model of a kind, of some kinds also of its classes, and a batch of its inputs."""
    model = with_random_weights(MODELS[name]())
    explained = vc.attach(model, method=["deviation", "gradcam"] if name in OF_CLASSES else "deviation")
    rng, inputs = np.random.default_rng(1), explained.plan.inputs
    return explained, inputs.pack([rng.random((2, *spec.shape[1:]), "float32") for spec in inputs.specs])


def save(name: str, folder: Path) -> dict[str, np.ndarray]:
    """Write the explained model of a kind, its inputs, and what it returns."""
    explained, batch = explain(name)
    outputs = explained.predict(batch, verbose=0)
    explained.save(folder / f"{name}.keras")
    np.savez(folder / f"{name}.in.npz", *keras.tree.flatten(batch))
    np.savez(folder / f"{name}.out.npz", **outputs)
    return outputs


def load_and_check(folder: Path, name: str) -> Any:
    """Load an explained model; it must return the same under the same keys."""
    loaded = keras.models.load_model(folder / f"{name}.keras")
    assert type(loaded) is vc.ExplainedModel
    with np.load(folder / f"{name}.in.npz") as arrays:
        batch = loaded.plan.inputs.pack(list(arrays.values()))
    got = loaded.predict(batch, verbose=0)
    with np.load(folder / f"{name}.out.npz") as want:
        assert list(got) == list(want) == loaded.output_names, name
        for key, value in want.items():
            np.testing.assert_array_equal(got[key], value, err_msg=f"{name}: {key}")
    return loaded


if __name__ == "__main__":
    make_others()
    for file in sorted(Path(sys.argv[1]).glob("*.keras")):
        load_and_check(file.parent, file.stem)
        print(file.stem)
