"""``visualcnn show``: images with their heatmaps beside them."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from visualcnn_tf._attach import attach
from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.cli.attach_options import attach_options
from visualcnn_tf.cli.files import load_with_pixels
from visualcnn_tf.cli.labels import check_labels, read_labels
from visualcnn_tf.cli.pixels import chosen_pixels
from visualcnn_tf.introspect.find_inputs import image_inputs
from visualcnn_tf.io.atomic import write_file
from visualcnn_tf.io.image_files import image_files
from visualcnn_tf.pipeline.predict import for_predict
from visualcnn_tf.pixels.photos import read_photos
from visualcnn_tf.viz.figures import plot_pages
from visualcnn_tf.viz.gallery import require_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150


def run(arguments: Namespace) -> None:
    """Draw the images, on as many pages as are needed."""
    if arguments.target == "input":
        raise bad_value("--class", "'predicted', a class, or 'top<n>' such as 'top3'", arguments.target)
    files = image_files(arguments.images)
    _check_out(arguments.out, files)
    names = read_labels(arguments.labels)
    model, kept = load_with_pixels(arguments.model, arguments.trust_model)
    taken = image_inputs(model).specs[0]
    options = attach_options(arguments, names)
    options |= {"combine": "mean" if arguments.combine else None, "pixels": arguments.pixels or kept}
    explained = attach(model, **options)
    check_labels(names, arguments.labels, explained)
    pixels = chosen_pixels(arguments, model, explained.pixels, kept)
    images = read_photos(files, taken.shape, pixels)
    outputs = explained.predict(for_predict(model, images, pixels, taken.dtype), verbose=0)
    figures = plot_pages(
        np.round(images).astype(np.uint8),
        outputs,
        taps=explained.taps,
        class_names=names,
        background=arguments.background,
    )
    paths = [arguments.out] if len(figures) == 1 else _pages(arguments.out, len(figures))
    for figure, path in zip(figures, paths, strict=True):
        save_figure(figure, path)
    count = len({tap.path for tap in explained.taps})  # not once for each class
    print(f"Wrote {', '.join(map(str, paths))} (images: {len(images)}, layers: {count}).")


def _check_out(out: Path, images: Sequence[Path]) -> None:
    """Raise if Matplotlib does not know the kind of picture, or if it would replace one of the images.

    In a folder of images this may be a picture that an earlier call wrote there.
    """
    if out.suffix[1:].lower() not in require_matplotlib()().canvas.get_supported_filetypes():
        raise bad_value("--out", "a picture file such as heatmaps.png", str(out))
    name = re.compile(rf"{re.escape(out.stem)}(_\d+)?{re.escape(out.suffix)}")
    for image in images:
        if name.fullmatch(image.name) and image.parent.resolve() == out.parent.resolve():
            raise bad_value("--out", "another file than the images", str(out), f"It would replace `{image}`.")


def _pages(path: Path, count: int) -> list[Path]:
    """Return ``heatmaps_1.png`` and so on."""
    return [path.with_stem(f"{path.stem}_{number}") for number in range(1, count + 1)]


def save_figure(figure: Figure, path: Path) -> None:
    """Save a figure in the format that the ending of its file name says.

    Raises:
        PathNotWritableError: The file can't be written.
    """
    figure.savefig(content := BytesIO(), format=path.suffix[1:], dpi=_DPI)
    write_file(path, content.getvalue())
