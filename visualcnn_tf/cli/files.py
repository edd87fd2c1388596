"""The model that a command reads from a file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

import visualcnn_tf._public  # noqa: F401 - registers all classes of the package, for models that contain them
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.cli.load_errors import why_not_loaded
from visualcnn_tf.errors import IncompatibleModelError, InvalidArgumentError
from visualcnn_tf.pixels.pixels import Pixels

_HDF5 = (".h5", ".hdf5")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def load_model(path: Path, trusted: bool = False) -> keras.Model:
    """Load a model; of an explained model, the model inside. See :func:`load_with_pixels`."""
    return load_with_pixels(path, trusted)[0]


def load_with_pixels(path: Path, trusted: bool = False) -> tuple[keras.Model, Pixels | None]:
    """Load a model and, of an explained model, the model inside and its pixels.

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
        raise IncompatibleModelError(f"`{path}` can't be loaded: {why_not_loaded(path, error)}") from error
    return (model.model, model.pixels) if isinstance(model, ExplainedModel) else (model, None)


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
