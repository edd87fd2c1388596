"""The operations in a TensorFlow Lite file: which there are, and which run where."""

from __future__ import annotations

import contextlib
import io
import re
from collections import Counter

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
