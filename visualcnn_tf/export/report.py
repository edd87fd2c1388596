"""What is in a TensorFlow Lite file, and how near its outputs are to the model's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from visualcnn_tf.export.comparison import OutputCheck
from visualcnn_tf.export.tflite_operations import foreign_ops


@dataclass(frozen=True)
class ExportReport:
    """What was exported.

    Attributes:
        path: the file.
        size: of the file, in bytes.
        quantize: how the model was quantized, or None.
        ops: number of operations of each type, over all signatures.
        outside_xnnpack: the types that XNNPACK has no kernel for; TensorFlow Lite's own kernels run them.
        outputs: how near each output is to Keras's; empty when it was not verified.
    """

    path: Path
    size: int
    quantize: str | None
    ops: dict[str, int]
    outside_xnnpack: tuple[str, ...]
    outputs: dict[str, OutputCheck]

    @property
    def builtin_only(self) -> bool:
        """Whether every operation is one that TensorFlow Lite has itself, on any device."""
        return not foreign_ops(self.ops)

    def __str__(self) -> str:
        """A table to print."""
        ops = ", ".join(f"{name} {count}" for name, count in sorted(self.ops.items()))
        lines = [
            f"{self.path}: {self.size / 1e6:.2f} MB, {self.quantize or 'float32'}",
            f"operations: {ops}",
            f"builtin only: {'yes' if self.builtin_only else 'no'}",
            f"not in XNNPACK: {', '.join(self.outside_xnnpack) or 'none'}",
        ]
        if self.outputs:
            width = max(map(len, self.outputs))
            lines.append(f"{'output'.ljust(width)}  max difference  correlation")
            for name, check in self.outputs.items():
                lines.append(f"{name.ljust(width)}  {check.max_difference:14.2e}  {check.correlation:11.5f}")
        return "\n".join(lines)
