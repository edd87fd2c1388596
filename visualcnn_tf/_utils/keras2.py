"""What to do with models of Keras 2 (``tf_keras``), which Keras 3 cannot run, and mostly cannot load."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

_SAVED_MODEL = "A SavedModel (`tf.saved_model.save`) keeps the model as it is, but can't be explained yet."


def advice_for_model() -> str:
    """Return how the weights of a model of Keras 2 get into one of Keras 3."""
    return f"Save its weights in Keras 2 with `model.save_weights('old.h5')`. {_rebuild('old.h5')}"


def advice_for_file(path: Path) -> str:
    """Return how the weights in a file of Keras 2 get into a model of Keras 3."""
    return _rebuild(str(path))


def _rebuild(file: str) -> str:
    return (
        "Build the same architecture in Keras 3, which is the same function for models of `keras.applications`, and "
        f"load the weights into it with `model.load_weights({file!r})`. {_SAVED_MODEL}"
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
