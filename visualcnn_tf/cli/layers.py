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
from visualcnn_tf.introspect.tokens.describe import describe_sizes


def run(arguments: Namespace) -> None:
    """Print the table."""
    model = load_model(arguments.model, arguments.trust_model, graph_options(arguments))
    inputs = model_inputs(model)
    if inputs is None:
        raise IncompatibleModelError(
            f"The inputs of `{arguments.model}` are unknown. Call the model once before saving it."
        )
    selector = Selector(model, inputs)
    presets = _by_preset(selector)
    rows = []
    for call in selector.tappable():
        selected_by = [name for name, calls in presets.items() if call in calls]
        rows.append(
            (call.path, type(call.layer).__name__, describe_sizes(call.shape, call.tokens), ", ".join(selected_by))
        )
    if rows:
        _print_table([("layer", "type", "output", "in presets"), *rows])
    else:
        print(f"{model.name} has no layer with a spatial output.")


def _by_preset(selector: Selector) -> dict[str, list[LayerCall]]:
    """Return what each preset selects; where methods that explain a target get others, both by themselves."""
    found: dict[str, list[LayerCall]] = {}
    for name in PRESETS:
        plain, of_target = (_selected(selector, name, explains_target) for explains_target in (False, True))
        both = [call for call in plain if call in of_target]
        found[name] = both
        found[f"{name} (no target)"] = [call for call in plain if call not in both]
        found[f"{name} (target)"] = [call for call in of_target if call not in both]
    return found


def _selected(selector: Selector, preset: str, explains_target: bool) -> list[LayerCall]:
    """Return what a preset selects, nothing where ``attach`` refuses it."""
    try:
        return selector.select(preset, explains_target=explains_target)
    except NoFeatureMapError:
        return []


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of cells in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
