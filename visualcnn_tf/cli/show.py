"""``visualcnn show``: images with their heatmaps beside them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visualcnn_tf._attach import attach
from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.cli.attach_options import attach_options
from visualcnn_tf.cli.files import load_model, read_labels
from visualcnn_tf.cli.pixels import preprocessing
from visualcnn_tf.introspect.find_inputs import image_inputs
from visualcnn_tf.introspect.outputs import PREDICTIONS
from visualcnn_tf.io.atomic import write_file
from visualcnn_tf.io.images import read_images
from visualcnn_tf.viz.figures import plot_pages

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150


def run(arguments: Namespace) -> None:
    """Draw the images, on as many pages as are needed."""
    model = load_model(arguments.model, arguments.trust_model)
    images = read_images(arguments.images, image_inputs(model).specs[0].shape)
    if arguments.target == "input":
        raise bad_value("--class", "'predicted', a class index, or 'top<n>' such as 'top3'", arguments.target)
    explained = attach(model, combine="mean" if arguments.combine else None, **attach_options(arguments))
    prepare = preprocessing(model, arguments.scale, arguments.preprocess)
    outputs = explained.predict(prepare(images), verbose=0)
    figures = plot_pages(
        np.round(images).astype(np.uint8),
        outputs,
        taps=explained.taps,
        class_names=_class_names(arguments.labels, outputs),
        background=arguments.background,
    )
    paths = [arguments.out] if len(figures) == 1 else _pages(arguments.out, len(figures))
    for figure, path in zip(figures, paths, strict=True):
        save_figure(figure, path)
    count = len({tap.path for tap in explained.taps})  # not once for each class
    print(f"Wrote {', '.join(map(str, paths))} (images: {len(images)}, layers: {count}).")


def _class_names(file: Path | None, outputs: Mapping[str, np.ndarray]) -> list[str] | None:
    """Return the names in a file, which must be as many as the model has classes."""
    if file is None:
        return None
    return read_labels(file, np.shape(outputs.get(PREDICTIONS, np.zeros((0, 0))))[-1])


def _pages(path: Path, count: int) -> list[Path]:
    """Return ``heatmaps_1.png`` and so on."""
    return [path.with_stem(f"{path.stem}_{number}") for number in range(1, count + 1)]


def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure in the format that the ending of its file name says.

    Raises:
        InvalidArgumentError: Matplotlib does not know the ending.
        PathNotWritableError: The file can't be written.
    """
    content = BytesIO()
    try:
        if not path.suffix:
            raise ValueError("no format")
        figure.savefig(content, format=path.suffix[1:], dpi=_DPI)
    except ValueError as error:  # Matplotlib's answer to an unknown ending
        raise bad_value("--out", "a picture file such as heatmaps.png", str(path)) from error
    write_file(path, content.getvalue())
