"""The backward pass: reverse-mode differentiation over the operations of the current graph.

TensorFlow's own gradients are made of operations that TensorFlow Lite lacks (ReluGrad, MaxPoolGrad, …). This pass uses
the rules of :mod:`visualcnn_tf.gradients.rules` instead, which are made of operations that TensorFlow Lite has, and
TensorFlow's registered gradient only for operations without a rule.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import tensorflow as tf

from visualcnn_tf.gradients.graph_paths import differentiable_tensors, upstream_operations
from visualcnn_tf.gradients.inline import inline_call
from visualcnn_tf.gradients.node import InputGradients, Node
from visualcnn_tf.gradients.not_covered import NotCoveredError
from visualcnn_tf.gradients.registered import registered_gradient
from visualcnn_tf.gradients.rules import RULES, composite_gradient


@dataclass
class Gradients:
    """The result of a backward pass.

    Attributes:
        of: the gradient with respect to each source, None where the results do not depend on it.
        fallbacks: type and name of each operation that was differentiated by TensorFlow's registered gradient, whose
            operations TensorFlow Lite may lack.
    """

    of: list[tf.Tensor | None]
    fallbacks: list[tuple[str, str]] = field(default_factory=list)


@tf.autograph.experimental.do_not_convert
def backward_pass(
    results: Sequence[tf.Tensor],
    output_gradients: Sequence[tf.Tensor],
    sources: Sequence[tf.Tensor],
    classes: tf.Tensor | None = None,
) -> Gradients:
    """Differentiate ``sum(result · output_gradient)`` with respect to all sources, in one pass.

    Does what ``tf.gradients(results, sources, grad_ys=output_gradients)`` does.

    Args:
        results: tensors of the current graph.
        output_gradients: for each result, a tensor of its shape; float32 (float64 for float64 results).
        sources: tensors of the same graph that the results may depend on.
        classes: class indices ``(B, 1)`` int32 where the first output gradient is their one-hot matrix ``(B, K)``,
            which is then not multiplied with the weights of the last layer: see :class:`Node`.

    Returns:
        The gradients in float32 (float64 for float64 sources).

    Raises:
        NoGradientError: for an operation between a source and a result that has no gradient.
    """
    operations = upstream_operations(results)
    sums = _GradientSums(differentiable_tensors(operations, sources))
    for result, gradient in zip(results, output_gradients, strict=True):
        sums.add(result, gradient)
    fallbacks: list[tuple[str, str]] = []
    for op in reversed(operations):
        gradients = [sums.of(output) for output in op.outputs]
        one_hot = classes if gradients[0] is output_gradients[0] else None
        node = Node(op, gradients, [sums.includes(tensor) for tensor in op.inputs], one_hot)
        if node.passes_gradients:
            for tensor, gradient in _differentiate(node, fallbacks):
                sums.add(tensor, gradient)
    return Gradients([sums.of(source) for source in sources], fallbacks)


class _GradientSums:
    """For each tensor, the sum of the gradients that come from the operations that read it.

    Args:
        tensors: references of the tensors whose gradients are needed; others are ignored.
    """

    def __init__(self, tensors: set[Hashable]) -> None:
        self._tensors = tensors
        self._sums: dict[Hashable, tf.Tensor] = {}

    def includes(self, tensor: tf.Tensor) -> bool:
        """Return whether the gradient of the tensor is needed."""
        return tensor.ref() in self._tensors

    def add(self, tensor: tf.Tensor, gradient: tf.Tensor | None) -> None:
        """Add a gradient of the tensor; None counts as zero."""
        if gradient is None or not self.includes(tensor):
            return
        gradient.set_shape(tensor.shape)
        known = self.of(tensor)
        self._sums[tensor.ref()] = gradient if known is None else known + gradient

    def of(self, tensor: tf.Tensor) -> tf.Tensor | None:
        """Return the gradient of the tensor so far, None for zero."""
        return self._sums.get(tensor.ref())


def _differentiate(node: Node, fallbacks: list[tuple[str, str]]) -> Iterable[tuple[tf.Tensor, tf.Tensor | None]]:
    """Return tensors that the operation depends on, each with its gradient; add the operation if it falls back."""
    composite = composite_gradient(node)
    if composite is not None:
        return [composite]
    inputs = list(node.op.inputs)  # before TensorFlow's gradient of a loop adds inputs to the loop
    body = inline_call(node.op)
    gradients = _by_rule(node, fallbacks) if body is None else _through_call(node, *body, fallbacks)
    return zip(inputs, gradients, strict=True)


def _by_rule(node: Node, fallbacks: list[tuple[str, str]]) -> InputGradients:
    """Apply the rule of the operation, or TensorFlow's registered gradient where no rule covers it."""
    rule = RULES.get(node.op.type)
    # Rules may rely on known ranks; further outputs, such as reserved space, may have none.
    ranked = all(tensor.shape.rank is not None for tensor in (*node.op.inputs, node.op.outputs[0]))
    if rule is not None and ranked:
        with suppress(NotCoveredError):
            return rule(node)
    fallbacks.append((node.op.type, node.op.name))
    return registered_gradient(node)


def _through_call(
    node: Node, inputs: Sequence[tf.Tensor], outputs: Sequence[tf.Tensor], fallbacks: list[tuple[str, str]]
) -> InputGradients:
    """Differentiate an operation that calls a function: a backward pass through the inlined body of the function."""
    reached = [(output, g) for output, g in zip(outputs, node.gradients, strict=True) if g is not None]
    results, output_gradients = zip(*reached, strict=True)
    needed = [index for index, needs_gradient in enumerate(node.needs_gradient) if needs_gradient]
    inner = backward_pass(results, output_gradients, [inputs[index] for index in needed], node.classes)
    fallbacks.extend(inner.fallbacks)
    gradients: InputGradients = [None] * len(inputs)
    for index, gradient in zip(needed, inner.of, strict=True):
        gradients[index] = gradient
    return gradients
