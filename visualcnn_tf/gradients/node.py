"""The input of a gradient rule: one operation of the forward graph and the gradients of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf

from visualcnn_tf.gradients.tensors import to_gradient_dtype


@dataclass(frozen=True, eq=False)
class Node:
    """An operation of the forward graph, and the gradients of the score with respect to its outputs.

    Attributes:
        op: the operation; its inputs and its first output have a known rank.
        gradients: for each output, the gradient, or None where the score does not depend on it. Float32 even where
            the model computes in half precision, float64 where it computes in float64.
        needs_gradient: for each input, whether its gradient is needed.
        classes: class indices ``(B, 1)`` int32 where the gradient ``(B, K)`` is known to be one-hot: 1 at the class
            and 0 elsewhere, or a row of zeros for -1. None for any other gradient.
    """

    op: tf.Operation
    gradients: Sequence[tf.Tensor | None]
    needs_gradient: Sequence[bool]
    classes: tf.Tensor | None = None

    @property
    def passes_gradients(self) -> bool:
        """Whether there is a gradient to pass on and an input that needs one: else no rule is applied."""
        return any(self.needs_gradient) and any(gradient is not None for gradient in self.gradients)

    @property
    def gradient(self) -> tf.Tensor:
        """The gradient of the first output, for operations that have one output."""
        return self.gradients[0]

    @property
    def inputs(self) -> list[tf.Tensor]:
        """The inputs of the operation, cast to the dtype of their gradients."""
        return [to_gradient_dtype(tensor) for tensor in self.op.inputs]

    @property
    def output(self) -> tf.Tensor:
        """The first output of the operation, cast to the dtype of its gradient."""
        return to_gradient_dtype(self.op.outputs[0])

    def attribute(self, name: str) -> Any:
        """Return an attribute of the operation; bytes are decoded to a string."""
        found = self.op.get_attr(name)
        return found.decode() if isinstance(found, bytes) else found


#: The gradient of each input of an operation, None where it is not needed or zero.
InputGradients: TypeAlias = list[tf.Tensor | None]
#: The gradient of one type of operation. A rule raises ``NotCoveredError`` for a variant of the operation that it does
#: not cover: then TensorFlow's registered gradient is used.
Rule: TypeAlias = Callable[[Node], InputGradients]
