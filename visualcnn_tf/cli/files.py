"""What the command line reads beside images: models and class names. Every failure is one clear sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.errors import IncompatibleModelError, InvalidArgumentError

_HDF5 = (".h5", ".hdf5")


def load_model(path: Path, trusted: bool = False) -> keras.Model:
    """A model from a ``.keras`` or ``.h5`` file; of an explained model, the model inside.

    Args:
        path: The file.
        trusted: Whether code inside the file (``Lambda`` layers) is run. Otherwise Keras's safe mode stays on.

    Raises:
        InvalidArgumentError: There is no such file.
        IncompatibleModelError: It is no model, or one that needs code of its own.
    """
    _check_model_file(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not trusted)
    except Exception as error:  # Keras has no error class for this; what fails is in the file
        raise IncompatibleModelError(f"`{path}` can't be loaded: {_reason(error)}") from error
    return model.model if isinstance(model, ExplainedModel) else model


def _check_model_file(path: Path) -> None:
    allowed = "Allowed are models that `model.save()` wrote, as .keras or .h5."
    if not path.exists():
        raise InvalidArgumentError(f"There is no file `{path}`. {allowed}")
    if path.is_dir():
        raise IncompatibleModelError(
            f"`{path}` is a folder. {allowed} The layers in a SavedModel can no longer be told apart."
        )
    is_keras = path.suffix == ".keras" and zipfile.is_zipfile(path)
    with path.open("rb") as file:
        is_hdf5 = path.suffix in _HDF5 and file.read(8) == b"\x89HDF\r\n\x1a\n"
    if not (is_keras or is_hdf5):
        raise IncompatibleModelError(f"`{path}` is not a Keras model. {allowed}")


def _reason(error: Exception) -> str:
    text = str(error)
    if "safe_mode" in text:
        return (
            "it holds a Lambda layer, whose code is not run from a file. If you trust the file, pass "
            "`--trust-model`, or in Python load it with keras.saving.load_model(path, safe_mode=False)."
        )
    if "Could not locate" in text or "Unknown layer" in text:
        return (
            "it needs custom classes or functions. Load it in Python with keras.saving.load_model(path, "
            f"custom_objects=...) and use visualcnn_tf._attach. Keras says: {_first_sentence(text)}"
        )
    return f"{type(error).__name__}: {_first_sentence(text)}"


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).split(". ")[0][:200].rstrip(".") + "."


def read_labels(path: Path, classes: int) -> list[str]:
    """Class names, one a line.

    Raises:
        InvalidArgumentError: The file is missing or not in UTF-8, or there are more or fewer names than classes.
    """
    if not path.is_file():
        raise InvalidArgumentError(f"There is no file `{path}` for `--labels`.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"`--labels` must be a text file in UTF-8. Received: `{path}`.") from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if len(names) != classes:
        raise InvalidArgumentError(
            f"`--labels` must name {classes} classes, one a line. Received: {len(names)} in `{path}`."
        )
    return names
