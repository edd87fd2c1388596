"""``visualcnn batch``: the predictions and heatmaps of all images of a folder or a data set, as data."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.data.explain_dataset import explain_dataset

if TYPE_CHECKING:
    from visualcnn_tf._model import ExplainedModel

# Options of models without heatmaps, with their defaults: an exported folder has its own.
_OF_BARE_MODELS = {
    **{"layers": None, "method": "deviation", "target": "predicted", "labels": None, "output": None},
    **{"max_channels": None, "size": None, "heatmap_dtype": None, "pixels": None, "fit": None, "trust_model": False},
    **{"signature": None, "graph_inputs": None, "graph_outputs": None},
}


def run(arguments: Namespace) -> None:
    """Run the job, or go on with it, and print what was done."""
    model = _model(arguments)
    try:
        report = explain_dataset(
            model,
            arguments.source,
            arguments.out,
            engine=arguments.engine,
            workers=arguments.workers,
            batch_size=arguments.batch_size,
            shard_rows=arguments.shard_rows,
            sink=arguments.sink,
            encoding=arguments.encoding,
            column=arguments.column,
            address=arguments.address,
        )
    except KeyboardInterrupt:
        print("The same command goes on with what is missing.", file=sys.stderr)
        raise
    print(report)


def _model(arguments: Namespace) -> ExplainedModel | str:
    """Return the explained model of a file of Keras or a graph, or the folder or address of an exported one."""
    if not _is_exported(arguments):
        return _explained(arguments)
    for name, default in _OF_BARE_MODELS.items():
        if getattr(arguments, name) != default:
            option = "class" if name == "target" else name.replace("_", "-")
            raise bad_value(f"--{option}", "left out with an exported folder", getattr(arguments, name))
    return str(arguments.model)


def _is_exported(arguments: Namespace) -> bool:
    """Return whether the model is an address, or a folder, but not one of a graph that takes no encoded images."""
    folder = Path(arguments.model)
    if "://" in arguments.model or not folder.is_dir():
        return "://" in arguments.model
    if arguments.signature is not None:
        return False
    from visualcnn_tf.data.saved_model import FILE, SIGNATURE
    from visualcnn_tf.graphs.saved_model import signature_outputs

    return not (folder / FILE).is_file() or SIGNATURE in signature_outputs(folder)


def _explained(arguments: Namespace) -> ExplainedModel:
    from visualcnn_tf._attach import attach
    from visualcnn_tf.cli.attach_options import attach_options
    from visualcnn_tf.cli.files import load_with_pixels
    from visualcnn_tf.cli.graph_arguments import graph_options
    from visualcnn_tf.cli.labels import check_labels, read_labels
    from visualcnn_tf.cli.pixels import chosen_pixels, pixels_of
    from visualcnn_tf.introspect.find_inputs import image_inputs

    names = read_labels(arguments.labels)
    options = attach_options(arguments, names)
    if options["layers"] is None:
        options["layers"] = "stages"
    model, kept = load_with_pixels(Path(arguments.model), arguments.trust_model, graph_options(arguments))
    known = pixels_of(model, image_inputs(model), arguments.pixels or kept)
    options["pixels"] = chosen_pixels(arguments, model, known, kept)
    overlays = "overlay" if arguments.sink == "png" else None
    explained = attach(model, heatmap_dtype=arguments.heatmap_dtype or "uint8", render=overlays, **options)
    check_labels(names, arguments.labels, explained)
    return explained
