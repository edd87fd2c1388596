"""What to do with models of Keras 2 (``tf_keras``), which Keras 3 cannot run, and mostly cannot load."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

_SAVE = "`tf.saved_model.save(model, 'old')`"
_LOAD = "`visualcnn_tf.load_graph('old')`, which can be explained, saved and exported as any model"


def advice_for_model() -> str:
    """Return how a model of Keras 2, or its weights, get into Keras 3."""
    return (
        f"Keep it as it is: {_SAVE}, then load {_LOAD}. Or rebuild it: save its weights in Keras 2 with "
        f"`model.save_weights('old.h5')`. {_rebuild('old.h5')}"
    )


def advice_for_file(path: Path) -> str:
    """Return how a model in a file of Keras 2, or its weights, get into Keras 3."""
    return (
        f"Keep it as it is: load it with the package tf_keras, {_SAVE}, then load {_LOAD}. Or rebuild it. "
        f"{_rebuild(str(path))}"
    )


def _rebuild(file: str) -> str:
    return (
        "Build the same architecture in Keras 3, which is the same function for models of `keras.applications`, and "
        f"load the weights into it with `model.load_weights({file!r})`."
    )


def keras_2_version(path: Path) -> str | None:
    """Return the version of Keras 2 that wrote a ``.keras`` or ``.h5`` file; None if it was another program."""
    try:
        version = _zip_version(path) if zipfile.is_zipfile(path) else _hdf5_version(path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    return version if version.startswith("2.") else None


def _zip_version(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return str(json.loads(archive.read("metadata.json"))["keras_version"])


def _hdf5_version(path: Path) -> str:
    import h5py  # comes with Keras

    with h5py.File(path, "r") as file:
        version = file.attrs["keras_version"]
    return version.decode() if isinstance(version, bytes) else str(version)
