"""What the command line reads: models, images and class names. Every failure is one clear sentence."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.encoded import MAX_PIXELS, decode_checked
from visualcnn_tf.errors import ImageReadError, IncompatibleModelError, InputShapeError, InvalidArgumentError
from visualcnn_tf.explained_model import ExplainedModel
from visualcnn_tf.inputs import ModelInputs, model_inputs

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
            f"custom_objects=...) and use visualcnn_tf.attach. Keras says: {_first_sentence(text)}"
        )
    return f"{type(error).__name__}: {_first_sentence(text)}"


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).split(". ")[0][:200].rstrip(".") + "."


def image_inputs(model: Any) -> ModelInputs:
    """The model's inputs, which must be one image, grey or in colour.

    Raises:
        InputShapeError: They are something else.
    """
    inputs = model_inputs(model)
    shapes = [spec.shape for spec in inputs.specs] if inputs else []
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][-1] not in (1, 3):
        received = ", ".join(str(shape[1:]) for shape in shapes) or "unknown inputs"
        raise InputShapeError(
            "The model must take one image, (height, width, channels) with 1 or 3 channels. "
            f"Received: a model that takes {received}. Use visualcnn_tf.attach in Python."
        )
    return inputs  # type: ignore[return-value]


def read_images(paths: Sequence[Path], shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """Reads JPEG, PNG, BMP and GIF files in the size and the channels of a model's input.

    Args:
        paths: The files.
        shape: ``(batch, height, width, channels)``; where a size is unknown, the first image's is taken.

    Returns:
        ``(N, height, width, channels)``, in [0, 255].

    Raises:
        ImageReadError: A file is missing or holds no such image.
    """
    _, height, width, channels = shape
    images = [read_image(path, channels or 3) for path in paths]
    size = (height or images[0].shape[0], width or images[0].shape[1])
    resized = [tf.image.resize(image, size, antialias=True).numpy() for image in images]
    return np.stack(resized)


def read_image(path: Path, channels: int) -> Any:
    """A JPEG, PNG, BMP or GIF file (its first frame) as uint8 ``(height, width, channels)``.

    Raises:
        ImageReadError: The file is missing or holds no such image.
    """
    if not path.is_file():
        raise ImageReadError(f"There is no image file `{path}`.")
    try:
        return _decode(tf.constant(path.read_bytes()), channels)
    except tf.errors.InvalidArgumentError as error:
        raise ImageReadError(
            f"`{path}` can't be read as an image. Allowed are JPEG, PNG, BMP and GIF, up to {MAX_PIXELS:,} pixels."
        ) from error


# In a graph: step by step, the walk through a large GIF takes seconds.
_decode = tf.function(decode_checked, autograph=False)


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
