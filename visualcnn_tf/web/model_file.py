"""Check that the page can run a TensorFlow Lite file, before it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.pipeline.outputs import COMBINED
from visualcnn_tf.targets.inputs import ALL, CLASS_INDEX

SIGNATURE = "serving_default"
# The types of inputs and outputs that LiteRT.js supports.
_DTYPES = (np.float32, np.int32, np.uint8)


def check_model_file(path: Path) -> None:
    """Raise unless the page can run the file.

    Raises:
        InvalidArgumentError: If the file is missing or not a TensorFlow Lite file, or if it has no heatmaps, no image
            input, an open batch size, or an input or output of a type that LiteRT.js does not support.
    """
    if not path.is_file():
        raise InvalidArgumentError(f"There is no file `{path}`. `visualcnn export MODEL --tflite FILE` writes one.")
    try:
        model = interpreter(path.read_bytes())
    except (ValueError, RuntimeError) as error:
        raise _refused(path, f"It can't be loaded: {error}.") from error
    if SIGNATURE not in model.get_signature_list():
        raise _refused(path, f"It has no signature `{SIGNATURE}`.")
    try:
        runner = model.get_signature_runner(SIGNATURE)
    except (ValueError, RuntimeError) as error:  # it can't be prepared to run
        raise _refused(path, f"It can't be run: {error}.") from error
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    if not any(name == COMBINED or name.startswith(f"{COMBINED}_") for name in outputs):
        raise _refused(path, "It has no heatmaps among its outputs.")
    _check_inputs(path, inputs)
    _check_types(path, {**inputs, **outputs})


def _check_inputs(path: Path, inputs: dict[str, dict[str, Any]]) -> None:
    """Raise unless the inputs are an image and, at most, the class index."""
    for one in ALL:
        if one.name in inputs and one != CLASS_INDEX:
            raise _refused(path, f"It asks for {one.name!r} with each image, which the page can't give.")
    _check_image(path, [details for name, details in inputs.items() if name != CLASS_INDEX.name])


def _check_image(path: Path, images: list[dict[str, Any]]) -> None:
    """Raise unless the inputs, without the class index, are one image."""
    if len(images) != 1 or len(images[0]["shape"]) != 4 or images[0]["shape"][3] not in (1, 3):
        raise _refused(path, "It doesn't take one image, gray or color, channels last.")
    if images[0]["shape_signature"][0] != 1:
        raise _refused(path, "Browsers need a fixed batch: export it with `batch_size=1`.")


def _check_types(path: Path, tensors: dict[str, Any]) -> None:
    for name, details in tensors.items():
        if details["dtype"] not in _DTYPES:
            kind = np.dtype(details["dtype"]).name
            raise _refused(
                path,
                f"{name!r} is {kind}, and browsers take float32, int32 and uint8: attach with another `heatmap_dtype`.",
            )


def _refused(path: Path, advice: str) -> InvalidArgumentError:
    return bad_value("MODEL", "a file that `visualcnn export MODEL --tflite FILE` wrote", str(path), advice)
