"""Check the arguments of ``visualcnn export`` before any work: before TensorFlow is imported, or a model is read."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.io.image_files import image_files

# Options that have an effect on TensorFlow Lite files only.
_OF_TFLITE = ("quantize", "overwrite", "min_correlation", "min_agreement")


def check_export(arguments: Namespace) -> None:
    """Raise for arguments that are not allowed together, or would have no effect.

    Raises:
        InvalidArgumentError: For the first of them.
        ImageReadError: If the folder of ``--calibrate`` holds no images.
    """
    if arguments.saved_model is None and arguments.tflite is None:
        raise bad_value("--saved-model", "given, or --tflite, or both", None, "Say what to write.")
    for name in _OF_TFLITE:
        given = getattr(arguments, name)
        if given is not None and given is not False and arguments.tflite is None:
            raise bad_value(f"--{name.replace('_', '-')}", "left out without --tflite", given)
    if arguments.calibrate is not None:
        _check_folder(arguments.calibrate)
    elif arguments.quantize == "int8":
        advice = "Their activations show the ranges of the integers: give about 100 like those that the model will see."
        raise bad_value("--calibrate", "a folder of images with `--quantize int8`", None, advice)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise bad_value("--calibrate", "a folder of images", str(folder), "There is no such folder.")
    image_files([folder])  # raises if there are none
