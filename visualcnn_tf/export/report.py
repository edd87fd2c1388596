"""What is in a TensorFlow Lite file, and how near its outputs are to the model's."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

#: What the float inputs and outputs of a file may be; integers have a scale and a zero point in the file.
IO_DTYPES = ("float32", "int8", "uint8")

#: The operations that XNNPACK, the CPU delegate of TensorFlow Lite, has kernels for.
XNNPACK = frozenset(
    [
        "ABS",
        "ADD",
        "AVERAGE_POOL_2D",
        "BATCH_MATMUL",
        "CEIL",
        "CONCATENATION",
        "CONV_2D",
        "COPYSIGN",
        "DEPTH_TO_SPACE",
        "DEPTHWISE_CONV_2D",
        "DEQUANTIZE",
        "DIV",
        "ELU",
        "EXP",
        "EXPAND_DIMS",
        "FLOOR",
        "FULLY_CONNECTED",
        "GELU",
        "HARD_SWISH",
        "LEAKY_RELU",
        "LOG",
        "LOGISTIC",
        "MAXIMUM",
        "MAX_POOL_2D",
        "MEAN",
        "MINIMUM",
        "MIRROR_PAD",
        "MUL",
        "NEG",
        "PACK",
        "PAD",
        "PRELU",
        "QUANTIZE",
        "REDUCE_MAX",
        "REDUCE_MIN",
        "RELU",
        "RELU6",
        "RELU_0_TO_1",
        "RELU_N1_TO_1",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "ROUND",
        "RSQRT",
        "SLICE",
        "SOFTMAX",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SQRT",
        "SQUARE",
        "SQUARED_DIFFERENCE",
        "STRIDED_SLICE",
        "SUB",
        "SUM",
        "TANH",
        "TRANSPOSE",
        "TRANSPOSE_CONV",
        "UNPACK",
    ]
)
#: What only says something about shapes.
_FREE = frozenset({"SHAPE"})


@dataclass(frozen=True)
class OutputCheck:
    """How near an output of the file is to the Keras model's.

    Attributes:
        max_difference: the largest difference of any value; of 255 for uint8.
        correlation: Pearson's, over all values; 1 where both are constant.
    """

    max_difference: float
    correlation: float


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


def count_ops(content: bytes) -> dict[str, int]:
    """The operations of a TensorFlow Lite file by type, over all its subgraphs; custom ones by their own names."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        tf.lite.experimental.Analyzer.analyze(model_content=content)
    return dict(Counter(re.findall(r"Op#\d+ (\w+)", text.getvalue())))


def foreign_ops(ops: dict[str, int]) -> list[str]:
    """Operations that no device has built in, or that show that a variable was not frozen."""
    return sorted(name for name in ops if not _BUILTIN.fullmatch(name) or name in _VARIABLES)


# Custom operations, and among them TensorFlow's own (FlexErf), are named by whoever wrote them.
_BUILTIN = re.compile("[A-Z0-9_]+")
_VARIABLES = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def outside_xnnpack(ops: dict[str, int]) -> tuple[str, ...]:
    """The types of operations that XNNPACK does not take."""
    return tuple(sorted(set(ops) - XNNPACK - _FREE))


def interpreter(content: bytes, threads: int = 1) -> Any:
    """An interpreter of a TensorFlow Lite file: LiteRT's where it is installed, else the one inside TensorFlow."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is deprecated in favor of LiteRT, and does the same
            return tf.lite.Interpreter(model_content=content, num_threads=threads)
    return Interpreter(model_content=content, num_threads=threads)


def check_output(got: Any, want: Any) -> OutputCheck:
    """Compares two arrays of one shape."""
    a, b = (np.asarray(x).astype(np.float64).ravel() for x in (got, want))
    if a.shape != b.shape or not np.isfinite(a).all():
        return OutputCheck(float("inf"), 0.0)
    spread = a.std() * b.std()
    constant = 1.0 if a.std() == b.std() == 0 else 0.0
    correlation = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread else constant
    return OutputCheck(float(np.abs(a - b).max(initial=0.0)), correlation)
