"""Report what an exported TensorFlow Lite file holds, and how closely its outputs match the model's."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from visualcnn_tf.export.comparison import OutputCheck
from visualcnn_tf.export.tflite_operations import foreign_ops

_WIDTH = 100


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
    """

    path: Path
    size: int
    quantize: str | None
    ops: dict[str, int]
    outside_xnnpack: tuple[str, ...]
    outputs: dict[str, OutputCheck]

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
        width = max(map(len, self.outputs))
        rows = [
            f"{name.ljust(width)}  {check.max_difference:14.2e}  {check.correlation:11.5f}"
            for name, check in self.outputs.items()
        ]
        return [f"{'output'.ljust(width)}  max difference  correlation", *rows]
