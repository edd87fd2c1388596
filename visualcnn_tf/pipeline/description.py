"""The outputs of an explained model as a table of plain text."""

from __future__ import annotations

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.pipeline.outputs import OutputSpec
from visualcnn_tf.pipeline.plan import Plan

_HEADER = ("Output", "What it is", "Shape", "Type")
_MEANINGS = {
    "model": "the model's own output",
    "classes": "the class that is explained",
    "report": "of what is explained",
    "combined": "all heatmaps in one",
    "overlay": "the image with the heatmap laid over it",
}


def describe_outputs(plan: Plan) -> str:
    """Return a table with one line for each output."""
    rows = [_HEADER, *(_row(output, plan) for output in plan.outputs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _row(output: OutputSpec, plan: Plan) -> tuple[str, str, str, str]:
    heatmaps = {tap.key: f"{tap.method!r} of {tap.path} ({tap.sizes})" for tap in plan.taps}
    meaning = heatmaps[output.name] if output.kind == "heatmap" else _MEANINGS[output.kind]
    return output.name, meaning, f"(B, {_sizes(output.shape, ', ')})".replace(", )", ",)"), output.dtype


def _sizes(shape: Shape, separator: str) -> str:
    return separator.join("?" if size is None else str(size) for size in shape[1:])
