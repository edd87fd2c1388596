"""Count the operations in a TensorFlow Lite file, and find where they can run."""

from __future__ import annotations

import contextlib
import io
import re
from collections import Counter
from collections.abc import Iterable

import tensorflow as tf

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
#: Operations that compute nothing but shapes.
_SHAPES = frozenset({"SHAPE"})


# Names of builtin operations are in capitals. Custom operations are named by their authors, those of TensorFlow
# itself in mixed case (FlexErf).
_BUILTIN = re.compile("[A-Z0-9_]+")
# Operations that a file holds only if a variable was not frozen into a constant.
_VARIABLES = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")


def count_ops(content: bytes) -> dict[str, int]:
    """Return how many operations of each type a TensorFlow Lite file holds, over all its subgraphs.

    Custom operations are listed by their own names.
    """
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        tf.lite.experimental.Analyzer.analyze(model_content=content)
    return dict(Counter(re.findall(r"Op#\d+ (\w+)", text.getvalue())))


def foreign_ops(ops: Iterable[str]) -> list[str]:
    """Return the types of operations that are not built into TensorFlow Lite, or that need a variable."""
    return sorted(name for name in ops if not _BUILTIN.fullmatch(name) or name in _VARIABLES)


def outside_xnnpack(ops: Iterable[str]) -> tuple[str, ...]:
    """Return the types of operations that XNNPACK has no kernel for."""
    return tuple(sorted(set(ops) - XNNPACK - _SHAPES))
