"""Report what an exported TensorFlow Lite file holds, and how closely its outputs match the model's."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path

from visualcnn_tf.export.output_check import OutputCheck
from visualcnn_tf.export.tflite_operations import foreign_ops

_WIDTH = 100
_COLUMNS = ("difference", "mean", "5 %", "lowest", "examples", "zeros", "class")


@dataclass(frozen=True, repr=False)
class ExportReport:
    """What :func:`visualcnn_tf.export_tflite` wrote. Printed, or as the last line of a notebook cell, it is a table.

    Attributes:
        path: The file.
        size: Its size in bytes.
        quantize: How the model was quantized, or None.
        ops: The number of operations of each type, over all signatures.
        outside_xnnpack: The types of operations that XNNPACK has no kernel for; TensorFlow Lite's own kernels run them.
        outputs: How closely each output matches Keras's, by name; empty if the file was not verified.
        examples: On how many examples they were compared.
        is_noise: Whether these were noise, because none were given.
    """

    path: Path
    size: int
    quantize: str | None
    ops: dict[str, int]
    outside_xnnpack: tuple[str, ...]
    outputs: dict[str, OutputCheck]
    examples: int = 0
    is_noise: bool = False

    @property
    def builtin_only(self) -> bool:
        """Whether every operation is built into TensorFlow Lite, and so runs on any device."""
        return not foreign_ops(self.ops)

    def __repr__(self) -> str:
        """Return a table for people: the same as ``str``, so that a notebook shows it, too."""
        ops = ", ".join(f"{name} {count}" for name, count in sorted(self.ops.items()))
        lines = [
            f"{self.path}: {self.size / 1e6:.2f} MB, {self.quantize or 'float32'}",
            *textwrap.wrap(f"operations: {ops}", _WIDTH, subsequent_indent="  "),
            f"builtin only: {'yes' if self.builtin_only else 'no'}",
            f"not in XNNPACK: {', '.join(self.outside_xnnpack) or 'none'}",
            *(self._comparison() if self.outputs else ["not compared with the model (verify=False)"]),
        ]
        return "\n".join(lines)

    def _comparison(self) -> list[str]:
        width = max(len(name) for name in ("output", *self.outputs))
        rows = [f"{name.ljust(width)}{_cells(_numbers(check))}" for name, check in self.outputs.items()]
        what = "noise, for want of `representative_data`" if self.is_noise else "yours"
        return [
            f"compared with the model on {self.examples} example{'s' * (self.examples != 1)}: {what}",
            f"{' ' * width}{_cells(('largest', 'correlation', '', '', '', 'all', 'same'))}",
            f"{'output'.ljust(width)}{_cells(_COLUMNS)}",
            *rows,
        ]


def _cells(texts: tuple[str, ...]) -> str:
    return "".join(text.rjust(width) for text, width in zip(texts, (12, 13, 9, 9, 10, 7, 8), strict=True)).rstrip()


def _numbers(check: OutputCheck) -> tuple[str, ...]:
    """Return the cells of one output."""
    correlations = (check.correlation, check.correlation_p5, check.correlation_min)
    return (
        f"{check.max_difference:.2e}",
        *("" if value is None or math.isnan(value) else f"{value:.4f}" for value in correlations),
        str(check.compared),
        "" if check.blank is None else str(check.blank),
        "" if check.agreement is None else f"{check.agreement:.1%}",
    )
