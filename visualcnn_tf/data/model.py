"""The model of a job as an exported folder: the user's own, or one that is written into the folder of the job."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from weakref import finalize

import numpy as np

from visualcnn_tf._utils.checks import as_path, bad_value
from visualcnn_tf.data.explainer import local_folder
from visualcnn_tf.data.files import locate
from visualcnn_tf.data.saved_model import Output, asks_for, fingerprint, outputs_of
from visualcnn_tf.errors import IncompatibleModelError

if TYPE_CHECKING:
    from visualcnn_tf._model import ExplainedModel
    from visualcnn_tf.pixels.registry import PixelsLike

NAME = "model"
# A file of the copy, the last to be written.
_MARK = "fingerprint.txt"
# What a model was compiled with, which changes none of its outputs.
_TRAINING = "compile_config"


@dataclass(frozen=True)
class ExportedFolder:
    """A model that the user has exported.

    Attributes:
        folder: The folder, or its address.
    """

    folder: str

    @property
    def fingerprint(self) -> str:
        """A number for what the model is."""
        return fingerprint(local_folder(self.folder))

    @property
    def outputs(self) -> dict[str, Output]:
        """What it returns for an image."""
        return outputs_of(local_folder(self.folder))

    def put(self, out: str) -> str:
        """Return the folder that workers load."""
        return self.folder


class ModelToExport:
    """A model in this process, which is exported first.

    Args:
        explained: The model.
        pixels: What it takes where a photo has pixels of 0 to 255; None for `explained.pixels`.
    """

    def __init__(self, explained: ExplainedModel, pixels: PixelsLike | None) -> None:
        self.explained, self.pixels = explained, pixels

    @cached_property
    def fingerprint(self) -> str:
        """A number for what the model is: the same for each export, whose files differ."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whether it could be loaded does not matter
            config = {**self.explained.get_config(), "name": "", "given": _text(self.pixels)}
        found = sha256(json.dumps(_without_training(config), sort_keys=True, default=_text).encode())
        for weight in self.explained.model.weights:
            found.update(np.ascontiguousarray(weight.numpy()).tobytes())
        return found.hexdigest()

    @property
    def outputs(self) -> dict[str, Output]:
        """What it returns for an image."""
        return outputs_of(self._exported)

    def put(self, out: str) -> str:
        """Copy the model into the folder of the job, where workers find it, unless it is there; return the copy."""
        from pyarrow.fs import LocalFileSystem, copy_files

        copy, own = locate(out) / NAME, LocalFileSystem()
        mark = copy / _MARK
        if not (mark.exists and mark.read().decode() == self.fingerprint):
            copy.make_folder()
            copy_files(str(self._exported), copy.path, source_filesystem=own, destination_filesystem=copy.files)
            mark.write(self.fingerprint.encode(), copy)
        return f"{out}/{NAME}"

    @cached_property
    def _exported(self) -> Path:
        from visualcnn_tf.export.saved_model import export_saved_model

        folder = mkdtemp(prefix="visualcnn-model-")
        finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return export_saved_model(
            self.explained,
            Path(folder, NAME),
            signatures=["serving_default", "serving_bytes"],
            pixels=self.pixels,
            on_error="blank",
            warmup=False,
        )


def as_model(model: object, pixels: PixelsLike | None) -> ExportedFolder | ModelToExport:
    """Return the model that the user means.

    Raises:
        IncompatibleModelError: If it is neither an explained model nor an exported folder.
        InvalidArgumentError: If ``pixels`` would have no effect, or the model does not take one image.
    """
    if isinstance(model, (str, os.PathLike)):
        if pixels is not None:
            raise bad_value("pixels", "None for an exported folder, which has its own", pixels)
        text = os.fspath(model)
        return ExportedFolder(text if "://" in text else os.path.abspath(as_path("model", text)))
    from visualcnn_tf._model import ExplainedModel
    from visualcnn_tf.export.signatures import target_inputs_of

    if not isinstance(model, ExplainedModel):
        raise IncompatibleModelError(
            "`model` must be an explained model or an exported folder. Received: "
            f"{type(model).__name__}. Make one with `attach(model)`."
        )
    asked = target_inputs_of(model)
    if asked:
        raise asks_for(model.name, asked[0].name)
    return ModelToExport(model, pixels)


def _text(value: object) -> str:
    """Return a text for what JSON can't hold, without the address at which it lies."""
    return getattr(value, "__qualname__", None) or repr(value)


def _without_training(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _without_training(value) for key, value in config.items() if key != _TRAINING}
    return [_without_training(value) for value in config] if isinstance(config, (list, tuple)) else config
