"""``visualcnn show``: photos with the heatmaps of a model's layers over them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from visualcnn_tf._attach import attach
from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.cli.attach_options import attach_options
from visualcnn_tf.cli.box_arguments import box_target
from visualcnn_tf.cli.files import load_with_pixels
from visualcnn_tf.cli.graph_arguments import graph_options
from visualcnn_tf.cli.labels import check_labels, read_labels
from visualcnn_tf.cli.pixels import chosen_pixels
from visualcnn_tf.introspect.find_inputs import image_inputs
from visualcnn_tf.viz.photo_classes import names_without_labels
from visualcnn_tf.viz.photo_files import photo_files
from visualcnn_tf.viz.photo_pages import check_out
from visualcnn_tf.viz.photos import explain_photos


def run(arguments: Namespace) -> None:
    """Draw the images, on as many pages as are needed."""
    if arguments.target == "input":
        raise bad_value("--class", "'predicted', a class, or 'top<n>' such as 'top3'", arguments.target)
    files = [file.path for file in photo_files(arguments.images)]
    check_out(arguments.out, files, "--out")
    labels = read_labels(arguments.labels)
    model, kept = load_with_pixels(arguments.model, arguments.trust_model, graph_options(arguments))
    image_inputs(model)
    names = names_without_labels(model, arguments.images) if labels is None else labels
    options = attach_options(arguments, names)
    box = box_target(arguments)
    if box is not None:
        options["target"] = box
    options |= {"combine": "mean" if arguments.combine else None, "pixels": arguments.pixels or kept}
    if arguments.layers is None:
        options["layers"] = "stages"
    explained = attach(model, **options)
    check_labels(labels, arguments.labels, explained)
    pages = explain_photos(
        explained,
        arguments.images,
        pixels=chosen_pixels(arguments, model, explained.pixels, kept),
        class_names=names,
        alpha=arguments.alpha,
        colormap=arguments.colormap,
        background=arguments.background,
    )
    paths = pages.save(arguments.out)
    layers = len({tap.path for tap in explained.taps})  # not once for each class
    print(f"Wrote {_listed(paths)} (images: {len(files)}, layers: {layers}).")


def _listed(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} to {paths[-1]}"
