"""The model that a command reads from a file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

import visualcnn_tf._public  # noqa: F401 - registers all classes of the package, for models that contain them
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.errors import IncompatibleModelError, InvalidArgumentError

_HDF5 = (".h5", ".hdf5")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def load_model(path: Path, trusted: bool = False) -> keras.Model:
    """Load a model; of an explained model, the model inside.

    Args:
        path: A ``.keras`` or ``.h5`` file.
        trusted: Whether code inside the file (``Lambda`` layers) is run. Otherwise Keras's safe mode stays on.

    Raises:
        InvalidArgumentError: There is no such file.
        IncompatibleModelError: The file is not a model, or needs custom classes or functions.
    """
    _check_model_file(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not trusted)
    except Exception as error:  # Keras has no error class for a broken file
        raise IncompatibleModelError(f"`{path}` can't be loaded: {_reason(error)}") from error
    return model.model if isinstance(model, ExplainedModel) else model


def _check_model_file(path: Path) -> None:
    """Raise unless the file looks like a model of Keras."""
    allowed = "Allowed are models that `model.save()` wrote, as .keras or .h5."
    if not path.exists():
        raise InvalidArgumentError(f"There is no file `{path}`. {allowed}")
    if path.is_dir():
        raise IncompatibleModelError(f"`{path}` is a folder. {allowed} A SavedModel does not keep its Keras layers.")
    is_keras = path.suffix == ".keras" and zipfile.is_zipfile(path)
    with path.open("rb") as file:
        is_hdf5 = path.suffix in _HDF5 and file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    if not (is_keras or is_hdf5):
        raise IncompatibleModelError(f"`{path}` is not a Keras model. {allowed}")


def _reason(error: Exception) -> str:
    """Return why Keras could not load a model, and what to do."""
    text = str(error)
    if "safe_mode" in text:
        return (
            "it holds a Lambda layer, whose code is not run from a file. If you trust the file, pass "
            "`--trust-model`, or in Python load it with keras.saving.load_model(path, safe_mode=False)."
        )
    if "Could not locate" in text or "Unknown layer" in text:
        return (
            "it needs custom classes or functions. Load it in Python with keras.saving.load_model(path, "
            f"custom_objects=...) and use visualcnn_tf.attach. Keras says: {_first_sentence(text)}"
        )
    return f"{type(error).__name__}: {_first_sentence(text)}"


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).split(". ")[0][:200].rstrip(".") + "."
