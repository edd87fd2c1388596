"""``visualcnn export``: a model with its heatmaps as files for servers and devices."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from visualcnn_tf._attach import attach
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.cli.attach_options import attach_options
from visualcnn_tf.cli.files import load_with_pixels
from visualcnn_tf.cli.graph_arguments import graph_options
from visualcnn_tf.cli.labels import check_labels, read_labels
from visualcnn_tf.cli.pixels import chosen_pixels
from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.pixels import image_specs
from visualcnn_tf.export.saved_model import export_saved_model
from visualcnn_tf.export.signatures import exported_inputs, without_target_inputs
from visualcnn_tf.export.tflite import export_tflite
from visualcnn_tf.export.verification_examples import MAX_EXAMPLES, spread
from visualcnn_tf.introspect.find_inputs import image_inputs
from visualcnn_tf.io.atomic import check_free
from visualcnn_tf.io.image_files import image_files
from visualcnn_tf.pixels.photos import read_photos
from visualcnn_tf.pixels.pixels import Pixels

_MOST = 500  # calibration images: more take memory and time, and change next to nothing


def run(arguments: Namespace) -> None:
    """Write a SavedModel, a TensorFlow Lite file, or both."""
    if arguments.tflite is not None:
        check_free(arguments.tflite, arguments.overwrite, "--tflite", "Add `--overwrite`")
    explained, pixels = _explained(arguments)
    files = _calibration_files(arguments)
    images = _images(explained.model, files, pixels) if files else None
    if arguments.saved_model is not None:
        _write_saved_model(explained, arguments, pixels, files, images)
    if arguments.tflite is not None:
        _write_tflite(explained, arguments, pixels, files, images)


def _explained(arguments: Namespace) -> tuple[ExplainedModel, Pixels | None]:
    """Return the model with the heatmaps that the arguments ask for, and what its images are, if it takes one."""
    names = read_labels(arguments.labels)
    options = attach_options(arguments, names)
    if names is not None and options["target"] == arguments.target:
        raise bad_value("--labels", "left out unless --class is the name of a class", str(arguments.labels))
    model, kept = load_with_pixels(arguments.model, arguments.trust_model, graph_options(arguments))
    pixels = arguments.pixels or kept
    explained = attach(model, heatmap_dtype=arguments.heatmap_dtype, pixels=pixels, **options)
    check_labels(names, arguments.labels, explained)
    inputs = exported_inputs(explained)
    takes_image = len(image_specs(without_target_inputs(explained, inputs).specs)) == 1
    return explained, chosen_pixels(arguments, model, explained.pixels, kept) if takes_image else None


def _calibration_files(arguments: Namespace) -> list[Path]:
    """Return image files of a folder and the folders in it, which may be those of classes, spread over all of them."""
    if arguments.calibrate is None:
        return []
    files = image_files([arguments.calibrate])
    chosen = [files[index] for index in spread(len(files), _MOST if arguments.quantize == "int8" else MAX_EXAMPLES)]
    if len(chosen) < len(files):
        print(f"Reading {len(chosen)} of the {len(files)} images in {arguments.calibrate}.")
    return chosen


def _images(model: keras.Model, files: Sequence[Path], pixels: Pixels | None) -> np.ndarray:
    """Return images as the model takes them."""
    spec = image_inputs(model).specs[0]
    known = pixels or Pixels()
    return np.asarray(known.scale(read_photos(files, spec.shape, known), spec.dtype))


def _write_saved_model(
    explained: ExplainedModel,
    arguments: Namespace,
    pixels: Pixels | None,
    files: Sequence[Path],
    images: np.ndarray | None,
) -> None:
    chosen = spread(len(files), MAX_EXAMPLES)
    with _naming_the_image([files[index] for index in chosen]):
        folder = export_saved_model(
            explained,
            arguments.saved_model,
            version="next",
            pixels=pixels,
            representative_data=None if images is None else [images[chosen]],
        )
    compared = f"{len(chosen)} images" if files else "noise, for want of --calibrate"
    print(f"Wrote {folder}: a SavedModel, the same as the model on {compared}.")


def _write_tflite(
    explained: ExplainedModel,
    arguments: Namespace,
    pixels: Pixels | None,
    files: Sequence[Path],
    images: np.ndarray | None,
) -> None:
    with _naming_the_image(files):
        report = export_tflite(
            explained,
            arguments.tflite,
            quantize=arguments.quantize,
            pixels=pixels,
            representative_data=None if images is None else [images],
            overwrite=arguments.overwrite,
            min_correlation=arguments.min_correlation,
            min_agreement=arguments.min_agreement,
        )
    print(report)


@contextmanager
def _naming_the_image(files: Sequence[Path]) -> Iterator[None]:
    """Add the name of the image to the error for an export that differs from the model on it."""
    try:
        yield
    except ExportVerificationError as error:
        if error.example is None or not files:
            raise
        raise ExportVerificationError(f"{error} The image is `{files[error.example]}`.") from error
