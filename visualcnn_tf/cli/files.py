"""The model that a command reads from a file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

import visualcnn_tf._public  # noqa: F401 - registers all classes of the package, for models that contain them
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.cli.graph_arguments import option_of
from visualcnn_tf.cli.load_errors import why_not_loaded
from visualcnn_tf.errors import IncompatibleModelError, InvalidArgumentError
from visualcnn_tf.graphs.load import DEFAULT_SIGNATURE, load_graph
from visualcnn_tf.graphs.saved_model import FILE, signature_outputs
from visualcnn_tf.pipeline.outputs import COMBINED
from visualcnn_tf.pixels.files import read_pixels
from visualcnn_tf.pixels.pixels import Pixels

_HDF5, _FROZEN = (".h5", ".hdf5"), ".pb"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def load_model(path: Path, trusted: bool = False, graph: Mapping[str, Any] | None = None) -> keras.Model:
    """Load a model; of an explained model, the model inside. See :func:`load_with_pixels`."""
    return load_with_pixels(path, trusted, graph)[0]


def load_with_pixels(
    path: Path, trusted: bool = False, graph: Mapping[str, Any] | None = None
) -> tuple[keras.Model, Pixels | None]:
    """Load a model and, of an explained model, the model inside and its pixels.

    Args:
        path: A ``.keras`` or ``.h5`` file, the folder of a SavedModel, or a frozen graph.
        trusted: Whether code inside the file (``Lambda`` layers) is run. Otherwise Keras's safe mode stays on.
        graph: Arguments of ``load_graph``, for graphs alone.

    Raises:
        InvalidArgumentError: There is no such file, or ``graph`` would have no effect.
        IncompatibleModelError: The file is not a model, or needs custom classes or functions.
    """
    graph = graph or {}
    if path.is_dir() or path.suffix == _FROZEN:
        kept = _kept_pixels(path, graph) if (path / FILE).is_file() else None
        return load_graph(path, **graph), kept
    for name, value in graph.items():
        raise bad_value(option_of(name), "left out with a model of Keras", value)
    _check_model_file(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not trusted)
    except Exception as error:  # Keras has no error class for a broken file
        raise IncompatibleModelError(f"`{path}` can't be loaded: {why_not_loaded(path, error)}") from error
    return (model.model, model.pixels) if isinstance(model, ExplainedModel) else (model, None)


def _check_model_file(path: Path) -> None:
    """Raise unless the file looks like a model of Keras."""
    allowed = "Allowed are models that `model.save()` wrote, as .keras or .h5, SavedModels, and frozen graphs (.pb)."
    if not path.exists():
        raise InvalidArgumentError(f"There is no file `{path}`. {allowed}")
    is_keras = path.suffix == ".keras" and zipfile.is_zipfile(path)
    with path.open("rb") as file:
        is_hdf5 = path.suffix in _HDF5 and file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    if not (is_keras or is_hdf5):
        raise IncompatibleModelError(f"`{path}` is not a Keras model. {allowed}")


def is_exported(folder: Path) -> bool:
    """Return whether ``export_saved_model`` has written a folder of a SavedModel, with heatmaps among its outputs.

    Raises:
        IncompatibleModelError: It is no SavedModel.
    """
    outputs = signature_outputs(folder)
    of_all = outputs.get(DEFAULT_SIGNATURE, [])
    return "predict" in outputs and any(name == COMBINED or name.startswith(f"{COMBINED}_") for name in of_all)


def _kept_pixels(folder: Path, graph: Mapping[str, Any]) -> Pixels | None:
    """Return the pixels that were exported with a SavedModel.

    Raises:
        IncompatibleModelError: The heatmaps that it makes were about to be explained.
    """
    if not is_exported(folder):
        return None
    if graph.get("signature", DEFAULT_SIGNATURE) == DEFAULT_SIGNATURE and "outputs" not in graph:
        raise IncompatibleModelError(
            f"`{folder}` makes heatmaps itself: `export_saved_model` has written it. Add `--signature predict` for the "
            "model without them."
        )
    return read_pixels(folder)
