"""``visualcnn export``: a model with its heatmaps as files for servers and devices."""

from __future__ import annotations

from argparse import Namespace
from math import ceil
from pathlib import Path

import keras
import numpy as np

from visualcnn_tf._attach import attach
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.cli.attach_options import attach_options
from visualcnn_tf.cli.files import load_model
from visualcnn_tf.cli.labels import check_labels, read_labels
from visualcnn_tf.export.preprocess import preprocess_function
from visualcnn_tf.export.saved_model import export_saved_model
from visualcnn_tf.export.tflite import export_tflite
from visualcnn_tf.introspect.find_inputs import image_inputs
from visualcnn_tf.io.atomic import check_free
from visualcnn_tf.io.image_files import image_files
from visualcnn_tf.io.images import read_images

_MOST = 500  # calibration images: more take memory and time, and change next to nothing


def run(arguments: Namespace) -> None:
    """Write a SavedModel, a TensorFlow Lite file, or both."""
    if arguments.saved_model is None and arguments.tflite is None:
        raise bad_value("--saved-model", "given, or --tflite, or both", None, "Say what to write.")
    if arguments.tflite is not None:
        check_free(arguments.tflite, arguments.overwrite, "--tflite", "Add `--overwrite`")
    explained = _explained(arguments)
    data = None
    if arguments.calibrate is not None:
        data = [_calibration_images(explained.model, arguments.calibrate, arguments.preprocess)]
    if arguments.saved_model is not None:
        folder = export_saved_model(
            explained,
            arguments.saved_model,
            version="next",
            preprocess=arguments.preprocess,
            representative_data=data,
        )
        print(f"Wrote {folder}: a SavedModel, the same as the model.")
    if arguments.tflite is not None:
        report = export_tflite(
            explained,
            arguments.tflite,
            quantize=arguments.quantize,
            representative_data=data,
            overwrite=arguments.overwrite,
        )
        print(report)


def _explained(arguments: Namespace) -> ExplainedModel:
    """Return the model with the heatmaps that the arguments ask for."""
    names = read_labels(arguments.labels)
    options = attach_options(arguments, names)
    if names is not None and options["target"] == arguments.target:
        raise bad_value("--labels", "left out unless --class is the name of a class", str(arguments.labels))
    model = load_model(arguments.model, arguments.trust_model)
    explained = attach(model, heatmap_dtype=arguments.heatmap_dtype, **options)
    check_labels(names, arguments.labels, explained)
    return explained


def _calibration_images(model: keras.Model, folder: Path, preprocess: str | None) -> np.ndarray:
    """Return images of a folder and the folders in it, as the model takes them."""
    spec = image_inputs(model).specs[0]
    if not folder.is_dir():
        raise bad_value("--calibrate", "a folder of images", str(folder), "There is no such folder.")
    files = image_files([folder])
    chosen = files[:: ceil(len(files) / _MOST)]  # spread over all folders, which may be those of classes
    if len(chosen) < len(files):
        print(f"Calibrating with {len(chosen)} of the {len(files)} images in {folder}.")
    return np.asarray(preprocess_function(preprocess, spec)(read_images(chosen, spec.shape)))
