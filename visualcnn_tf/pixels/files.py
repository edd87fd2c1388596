"""Write the pixels that a model takes into exported files, and read them back."""

from __future__ import annotations

import os
from pathlib import Path

from visualcnn_tf._utils.checks import as_path, bad_value
from visualcnn_tf.pixels.description import NAME, from_json, to_json
from visualcnn_tf.pixels.pixels import Pixels

#: Where they are in the folder of a SavedModel. Servers leave ``assets.extra`` to the tools that write to it.
ASSET = Path("assets.extra", f"{NAME}.json")
_SAVED_MODEL = "saved_model.pb"
_ALLOWED = "a TensorFlow Lite file, or the folder of a SavedModel"


def read_pixels(path: str | os.PathLike[str]) -> Pixels | None:
    """Return the pixels that an exported model takes.

    Args:
        path: a TensorFlow Lite file, or the folder of a SavedModel.

    Returns:
        The pixels, or None where the file does not tell, or a function scales them.

    Raises:
        InvalidArgumentError: The path is none of these.

    Example:
        >>> vc.export_tflite(explained, "model.tflite")                                     # doctest: +SKIP
        >>> vc.read_pixels("model.tflite").scale(images)                                    # doctest: +SKIP
    """
    path = as_path("path", path)
    try:
        if (path / _SAVED_MODEL).is_file():
            asset = path / ASSET
            return from_json(asset.read_text(encoding="utf-8")) if asset.is_file() else None
        if path.is_file() and path.read_bytes()[4:8] == b"TFL3":
            return tflite_pixels(path.read_bytes())
    except Exception as error:  # a damaged file may raise anything
        raise bad_value("path", _ALLOWED, str(path), f"It is damaged: {error}.") from error
    raise bad_value("path", _ALLOWED, str(path))


def tflite_pixels(content: bytes) -> Pixels | None:
    """Return the pixels in the metadata of a TensorFlow Lite file, or None."""
    from tensorflow.lite.python import schema_py_generated as schema  # slow to import, and only needed here

    model = schema.Model.GetRootAsModel(content, 0)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == NAME.encode():
            return from_json(model.Buffers(entry.Buffer()).DataAsNumpy().tobytes().decode())
    return None


def with_pixels(content: bytes, pixels: Pixels) -> bytes:
    """Return a TensorFlow Lite file with pixels in its metadata, which interpreters don't read."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(to_json(pixels).encode())
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    packed: bytes = flatbuffer_utils.convert_object_to_bytearray(model)
    return packed


def write_asset(folder: Path, pixels: Pixels) -> None:
    """Write pixels into the folder of a SavedModel."""
    (folder / ASSET).parent.mkdir(exist_ok=True)
    (folder / ASSET).write_text(to_json(pixels), encoding="utf-8")
