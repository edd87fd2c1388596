"""What an exported model returns for encoded images, read from its file: nothing is loaded for it, and no Keras."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.errors import IncompatibleModelError

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message

SIGNATURE, IMAGES, VALID, EXPLAINED_CLASS = "serving_bytes", "image_bytes", "valid", "explained_class"
FILE = "saved_model.pb"
_WRITE = "Write one with `export_saved_model(explained, path, on_error='blank')`."


class Output(NamedTuple):
    """One output of a model for one image.

    Attributes:
        shape: Without the batch.
        dtype: The name of its type; ``"string"`` for encoded pictures.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def is_map(self) -> bool:
        """Whether it is a heatmap or another picture, and no number for each class."""
        return len(self.shape) > 1 or self.dtype == "string"


def outputs_of(folder: Path) -> dict[str, Output]:
    """Return what a SavedModel returns for an encoded image, but for whether it was read: predictions first.

    Raises:
        IncompatibleModelError: If it is no SavedModel of a model of images of a known size.
        InvalidArgumentError: If it raises an error for images that can't be read.
    """
    signatures = _signatures(folder)
    if SIGNATURE not in signatures:
        raise _refused(folder, f"It has no signature `{SIGNATURE}`: its model must take one image of a known size.")
    signature = signatures[SIGNATURE]
    others = sorted(set(signature.inputs) - {IMAGES})
    if others:
        raise asks_for(folder, others[0])
    if VALID not in signature.outputs:
        raise bad_value("model", "exported with `on_error='blank'`, so that no image stops a job", str(folder), _WRITE)
    found = {name: _output(info) for name, info in signature.outputs.items() if name != VALID}
    for name, output in found.items():
        if None in output.shape:
            raise _refused(folder, f"The size of {name!r} is not known: attach with `input_shape` or `size`.")
    _check_batch(folder, signatures["serving_default"])
    return dict(sorted(found.items(), key=lambda pair: (pair[1].is_map, pair[0] == EXPLAINED_CLASS, pair[0])))


def fingerprint(folder: Path) -> str:
    """Return a number for what is in the files of a SavedModel."""
    found = sha256()
    for name in (FILE, "variables", "assets"):
        path = folder / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path] * path.is_file():
            found.update(file.relative_to(folder).as_posix().encode())
            found.update(sha256(file.read_bytes()).digest())
    return found.hexdigest()


def _signatures(folder: Path) -> Mapping[str, Message]:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    try:
        meta_graph = SavedModel.FromString((folder / FILE).read_bytes()).meta_graphs[0]
    except FileNotFoundError as error:
        raise _refused(folder, f"There is no file `{FILE}` in it. {_WRITE}") from error
    except Exception as error:  # of the package protobuf, which tells several
        raise _refused(folder, f"It can't be read: {error}") from error
    signatures: Mapping[str, Message] = meta_graph.signature_def
    return signatures


def _output(info: Message) -> Output:
    shape = tf.TensorShape(info.tensor_shape).as_list()[1:]
    return Output(tuple(shape), tf.dtypes.as_dtype(info.dtype).name)


def _check_batch(folder: Path, signature: Message) -> None:
    for info in signature.inputs.values():
        batch = tf.TensorShape(info.tensor_shape).as_list()[0]
        if batch is not None:
            raise _refused(folder, f"It takes batches of {batch} images only: export a model with an open batch size.")


def asks_for(model: object, name: str) -> IncompatibleModelError:
    """Return the error for a model with an input beside the image."""
    return _refused(model, f"It asks for {name!r} with each image: attach with another `target`.")


def _refused(folder: object, advice: str) -> IncompatibleModelError:
    return IncompatibleModelError(
        f"`model` must be an explained model of single images, or an exported folder. Received: {str(folder)!r}. "
        f"{advice}"
    )
