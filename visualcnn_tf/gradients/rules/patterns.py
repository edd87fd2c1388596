"""Recognize functions that TensorFlow computes in several operations, such as SiLU, by their operations.

A pattern describes the operations that lead to a tensor:

- ``(type, pattern, …)``: an operation of this type, and a pattern for each of its inputs;
- a float: a constant of about this value;
- :data:`INPUT`: the input of the function, the same tensor wherever it occurs;
- :data:`ANY`: any tensor.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.tensors import static_value

Pattern: TypeAlias = "str | float | tuple[Pattern, ...]"

INPUT, ANY = "input", "any"

_SILU = ("Mul", INPUT, ("Sigmoid", ("Mul", ANY, INPUT)))


def match_input(result: tf.Tensor, pattern: Pattern) -> tf.Tensor | None:
    """Return the input of the function that computes ``result``; None if the pattern does not match."""
    inputs: list[tf.Tensor] = []
    if _matches(result, pattern, inputs) and len({tensor.ref() for tensor in inputs}) == 1:
        return inputs[0]
    return None


def is_silu(result: tf.Tensor) -> bool:
    """Return whether ``tf.nn.silu`` computes the tensor."""
    return match_input(result, _SILU) is not None


def _matches(tensor: tf.Tensor, pattern: Pattern, inputs: list[tf.Tensor]) -> bool:
    """Match a pattern, and append each tensor that stands for the input of the function."""
    if isinstance(pattern, tuple):
        kind, *parts = pattern
        return (
            tensor.op.type == kind
            and len(tensor.op.inputs) == len(parts)
            and all(_matches(x, part, inputs) for x, part in zip(tensor.op.inputs, parts, strict=True))
        )
    if isinstance(pattern, float):
        constant = static_value(tensor)
        # Bfloat16 rounds to three digits.
        return constant is not None and bool(np.allclose(constant.astype(np.float64), pattern, rtol=1e-2))
    if pattern == INPUT:
        inputs.append(tensor)
    return True
