"""``visualcnn demo``: train a small CNN on handwritten digits, attach heatmaps to its layers, draw them."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf._attach import attach
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.cli.invocation import command_line
from visualcnn_tf.data.digits import Digits, load_digits, train_cnn
from visualcnn_tf.export.saved_model import export_saved_model
from visualcnn_tf.export.tflite import export_tflite
from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.viz.figures import plot_heatmaps
from visualcnn_tf.viz.gallery import require_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150
_FILES = {
    "digits.keras": "the trained network",
    "explained.keras": "the same network with its heatmaps as outputs",
    "served/1": "the same as a SavedModel, for TensorFlow Serving",
    "explained.tflite": "the same for phones and browsers",
    "gallery.png": "digits with the heatmaps of all layers, and the evidence for the class",
    "digit.png": "one digit, to try commands on",
}


def run(arguments: Namespace) -> None:
    """Train, explain and draw; write the files and print what is done.

    Raises:
        MissingExtraError: scikit-learn or Matplotlib is not installed.
    """
    start, out = time.perf_counter(), arguments.out
    require_matplotlib()  # now, and not after the training
    out.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    model = _trained(digits, arguments.seed)
    explained = attach(model, pixels="0..1")
    print(f"Attached heatmaps to {', '.join(tap.path for tap in explained.taps)}.")
    outputs = explained.predict(digits.test_images, batch_size=64, verbose=0)
    _print_accuracy(outputs["predictions"], digits.test_labels)
    model.save(out / "digits.keras")
    explained.save(out / "explained.keras")
    _export(explained, digits.test_images[:1], out)
    _gallery(digits, outputs, explained).savefig(out / "gallery.png", dpi=_DPI)
    tf.io.write_file(str(out / "digit.png"), _png(digits.test_images[0]))
    _print_files(out, time.perf_counter() - start)
    _print_commands(out)


def _trained(digits: Digits, seed: int) -> keras.Model:
    """Return the trained network."""
    start = time.perf_counter()
    print(f"Training a small CNN on {len(digits.train_labels)} handwritten digits, seed {seed} ...", flush=True)
    model = train_cnn(digits, seed=seed)
    print(f"  done after {time.perf_counter() - start:.0f} s")
    return model


def _print_accuracy(predictions: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
    right, total = int(np.sum(predictions.argmax(axis=-1) == labels)), len(labels)
    print(f"Test accuracy {right / total:.1%} ({right} of {total}), with heatmaps for all of them.")


def _export(explained: ExplainedModel, image: NDArray[np.float32], out: Path) -> None:
    """Write the model for servers and devices, and show that their outputs are those of Keras."""
    folder = export_saved_model(explained, out / "served" / "1", overwrite=True)
    export_tflite(explained, out / "explained.tflite", overwrite=True)
    name = explained.model.inputs[0].name
    served = tf.saved_model.load(str(folder))
    device = interpreter((out / "explained.tflite").read_bytes())
    expected = explained(image)
    for runtime, outputs in {
        "SavedModel": served.signatures["serving_default"](**{name: tf.constant(image)}),
        "TensorFlow Lite": device.get_signature_runner("serving_default")(**{name: image}),
    }.items():
        worst = max(float(np.max(np.abs(np.asarray(outputs[key]) - value.numpy()))) for key, value in expected.items())
        print(f"{runtime} and Keras differ by at most {worst:.0e}, in any output.")


def _gallery(digits: Digits, outputs: Mapping[str, NDArray[np.float32]], explained: ExplainedModel) -> Figure:
    """Draw the first test image of each digit, then up to two that were misread: activations, and evidence."""
    truth = digits.test_labels
    mistakes = np.flatnonzero(outputs["predictions"].argmax(axis=-1) != truth)
    chosen = [*np.unique(truth, return_index=True)[1], *mistakes[:2]]
    images = digits.test_images[chosen]
    # Not Grad-CAM, which averages gradients over positions: the dense layer of this network weighs every position
    # differently, see docs/methods.md.
    evidence = attach(explained.model, layers="last", method="hirescam")
    tap = replace(evidence.taps[0], key="heatmap_hirescam")
    shown = {key: values[chosen] for key, values in outputs.items()}
    shown[tap.key] = evidence.predict(images, verbose=0)[evidence.taps[0].key]
    return plot_heatmaps(
        images,
        shown,
        taps=(*explained.taps, tap),
        labels=truth[chosen].tolist(),
        class_names=[str(digit) for digit in range(10)],
    )


def _png(image: NDArray[np.float32]) -> tf.Tensor:
    return tf.io.encode_png(tf.image.convert_image_dtype(image, tf.uint8, saturate=True))


def _print_files(out: Path, seconds: float) -> None:
    print(f"Wrote to {out}/ ({seconds:.0f} s in all):")
    for name, content in _FILES.items():
        print(f"  {name:<16} {content}")


def _print_commands(out: Path) -> None:
    """Print commands that can be copied into the shell."""
    model, image = str(out / "digits.keras"), str(out / "digit.png")
    print("Try next:")
    for words in (
        ["layers", model],
        ["show", model, image, "--layers", "stages", "--method", "eigen"],
        ["show", model, image, "--layers", "last", "--method", "hirescam", "--class", "top2"],
    ):
        print(f"  {command_line(words)}")
