"""The outputs of an explained model as a table of plain text."""

from __future__ import annotations

from visualcnn_tf.pipeline.outputs import OutputSpec
from visualcnn_tf.pipeline.plan import Plan

_HEADER = ("Output", "What it is", "Shape", "Type")
_MEANINGS = {
    "model": "the model's own output",
    "classes": "the class that is explained",
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
    tap = next((tap for tap in plan.taps if tap.key == output.name), None)
    meaning = _MEANINGS.get(output.kind, "")
    if tap is not None:
        size = "×".join("?" if n is None else str(n) for n in tap.shape[1:])
        meaning = f"{tap.method!r} of {tap.path} ({size})"
    shape = "(" + ", ".join("B" if i == 0 else str(n or "?") for i, n in enumerate(output.shape)) + ")"
    return output.name, meaning, shape, output.dtype
