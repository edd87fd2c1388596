"""Functions that the forward graph spells out in several operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from visualcnn_tf.gradients.node import static

#: Stand for the input of the function, the same wherever it occurs, and for any tensor.
INPUT, ANY = "input", "any"

#: A pattern: one of the above, a constant, or a type of operation with the patterns of what it reads.
_SILU = ("Mul", INPUT, ("Sigmoid", ("Mul", ANY, INPUT)))


def input_of(tensor: Any, pattern: Any) -> Any:
    """What the function reads whose result the tensor is, or None where it is no such function's result."""
    inputs: list[Any] = []
    if _matches(tensor, pattern, inputs) and len({found.ref() for found in inputs}) == 1:
        return inputs[0]
    return None


def is_silu(tensor: Any) -> bool:
    """Whether the tensor is what ``tf.nn.silu`` computes."""
    return input_of(tensor, _SILU) is not None


def _matches(tensor: Any, pattern: Any, inputs: list[Any]) -> bool:
    if pattern == ANY:
        return True
    if pattern == INPUT:
        inputs.append(tensor)
        return True
    if isinstance(pattern, float):
        constant = static(tensor)
        # Bfloat16 rounds to three digits.
        return constant is not None and bool(np.allclose(constant.astype(np.float64), pattern, rtol=1e-2))
    kind, *read = pattern
    if tensor.op.type != kind or len(tensor.op.inputs) != len(read):
        return False
    return all(_matches(x, part, inputs) for x, part in zip(tensor.op.inputs, read, strict=True))
