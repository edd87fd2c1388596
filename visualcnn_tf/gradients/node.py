"""One operation of the forward graph, as a rule of the backward walk sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

#: Operations that return what they read, at most in another type.
TRANSPARENT = ("Identity", "Snapshot", "EnsureShape", "Cast", "CheckNumerics")


@dataclass(frozen=True, eq=False)
class Node:
    """An operation with the gradients of the score with respect to its outputs.

    Attributes:
        op: the operation of the forward graph, of tensors of known rank.
        gradients: of each output, None where the score does not depend on it; never all None. Float32 whatever
            the model computes in, or float64 where it computes in that.
        wanted: for each input, whether its gradient is wanted; never all False.
        classes: where the one gradient ``(B, K)`` is 1 at one class and 0 elsewhere: these classes, ``(B, 1)`` int32,
            -1 for a row of zeros. None where it may be anything.
    """

    op: Any
    gradients: Sequence[Any]
    wanted: Sequence[bool]
    classes: Any = None

    @property
    def gradient(self) -> Any:
        """That of the first output, of operations with one."""
        return self.gradients[0]

    @property
    def inputs(self) -> list[Any]:
        """The forward values that the operation reads, in the type of the gradients."""
        return [value(tensor) for tensor in self.op.inputs]

    @property
    def output(self) -> Any:
        """The forward value of the first output, in the type of the gradients."""
        return value(self.op.outputs[0])

    def attribute(self, name: str) -> Any:
        """An attribute of the operation, strings decoded."""
        found = self.op.get_attr(name)
        return found.decode() if isinstance(found, bytes) else found


#: From a node to one gradient for each input, None where none is wanted or it is zero; or ``NotImplemented`` for a
#: variant of the operation that the rule does not cover: then TensorFlow's own gradient is taken.
Rule: TypeAlias = Callable[[Node], Any]


def backward_dtype(dtype: tf.DType) -> tf.DType:
    """The type of the gradients of a tensor: half precision would lose them."""
    return tf.float32 if dtype in (tf.float16, tf.bfloat16) else dtype


def value(tensor: Any) -> Any:
    """A forward tensor in the type of the gradients."""
    return tf.cast(tensor, backward_dtype(tensor.dtype)) if tensor.dtype.is_floating else tensor


def static(tensor: Any) -> np.ndarray | None:
    """The value of a tensor that is constant, else None."""
    found: np.ndarray | None = tf.get_static_value(tensor)
    return found


def mask(condition: Any, gradient: Any) -> Any:
    """A condition as zeros and ones, in the type of a gradient."""
    return tf.cast(condition, gradient.dtype)


def reshaped_like(gradient: Any, tensor: Any) -> Any:
    """A gradient in the shape of a tensor, by a constant shape where at most one dimension is unknown."""
    if tensor.shape.as_list().count(None) > 1:
        return tf.reshape(gradient, tf.shape(tensor))
    return tf.reshape(gradient, [-1 if n is None else n for n in tensor.shape])


def summed_to(gradient: Any, tensor: Any, result: Any) -> Any:
    """The gradient of ``result`` as that of an operand which was broadcast to it: summed over the new places.

    A size that is unknown in both is taken to be the same, as a batch is: unknown sizes are not broadcast.
    ``NotImplemented`` where an unknown size became a known one other than 1, which may be a broadcast or not.
    """
    lead = result.shape.rank - tensor.shape.rank
    pairs = list(zip(tensor.shape, result.shape[lead:], strict=True))
    if any(before is None and after not in (None, 1) for before, after in pairs):
        return NotImplemented
    if lead:
        gradient = tf.reduce_sum(gradient, list(range(lead)))
    axes = [axis for axis, (before, after) in enumerate(pairs) if before == 1 and after != 1]
    return tf.reduce_sum(gradient, axes, keepdims=True) if axes else gradient
