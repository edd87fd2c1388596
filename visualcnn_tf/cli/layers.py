"""``visualcnn layers``: a table of the layers that can have a heatmap."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from visualcnn_tf.cli.files import load_model
from visualcnn_tf.cli.graph_arguments import graph_options
from visualcnn_tf.errors import IncompatibleModelError, NoFeatureMapError
from visualcnn_tf.introspect.find_inputs import model_inputs
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.presets import PRESETS
from visualcnn_tf.introspect.select import Selector


def run(arguments: Namespace) -> None:
    """Print the table."""
    model = load_model(arguments.model, arguments.trust_model, graph_options(arguments))
    inputs = model_inputs(model)
    if inputs is None:
        raise IncompatibleModelError(
            f"The inputs of `{arguments.model}` are unknown. Call the model once before saving it."
        )
    selector = Selector(model, inputs)
    presets = {name: _selected(selector, name) for name in PRESETS}
    rows = []
    for call in selector.tappable():
        selected_by = [name for name, calls in presets.items() if call in calls]
        rows.append((call.path, type(call.layer).__name__, _shape(call.shape), ", ".join(selected_by)))
    if rows:
        _print_table([("layer", "type", "output", "in presets"), *rows])
    else:
        print(f"{model.name} has no layer with a spatial output.")


def _selected(selector: Selector, preset: str) -> list[LayerCall]:
    """Return what a preset selects, nothing where ``attach`` refuses it."""
    try:
        return selector.select(preset)
    except NoFeatureMapError:
        return []


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _shape(shape: tuple[int | None, ...]) -> str:
    """Return a shape without its batch axis, such as ``28×28×32``."""
    return "×".join("?" if n is None else str(n) for n in shape[1:])
