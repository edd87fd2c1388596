"""Reverse-mode differentiation over the operations of the graph that is being built.

TensorFlow's own gradients are made of operations that TensorFlow Lite lacks (ReluGrad, MaxPoolGrad, …). This walk
takes the rules of :mod:`visualcnn_tf.gradients.rules` instead, each made of operations that TensorFlow Lite has, and
TensorFlow's registered gradient only where there is no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

# There is no public way to the registered gradient of a single operation.
from tensorflow.python.framework.ops import get_gradient_function

from visualcnn_tf.errors import NoGradientError
from visualcnn_tf.gradients.inline import inlined_call
from visualcnn_tf.gradients.node import Node, backward_dtype
from visualcnn_tf.gradients.rules import FLAT, RULES, shortcut


@dataclass
class Gradients:
    """What a walk found.

    Attributes:
        of: the gradient with respect to each of the tensors, None where the score does not depend on it.
        fallbacks: type and name of each operation whose gradient is TensorFlow's own, which TensorFlow Lite may lack.
    """

    of: list[Any]
    fallbacks: list[tuple[str, str]] = field(default_factory=list)


@tf.autograph.experimental.do_not_convert
def vjp(results: Sequence[Any], seeds: Sequence[Any], sources: Sequence[Any], classes: Any = None) -> Gradients:
    """The gradients of ``sum(result · seed)`` with respect to tensors, in one walk for all of them.

    Args:
        results: tensors of the graph that is being built.
        seeds: one tensor of the same shape for each, float32 (float64 for float64 results).
        sources: tensors of the same graph, anywhere before the results.
        classes: where the first seed is a one-hot matrix, the classes that it stands for: see :class:`Node`.

    Returns:
        The gradients in float32 (float64 for float64 sources).

    Raises:
        NoGradientError: for an operation on the way that has no gradient.
    """
    wanted = {source.ref() for source in sources}
    operations = _upstream(results)
    on_the_way = _downstream(operations, wanted)
    sums: dict[Any, Any] = {}

    def add(tensor: Any, gradient: Any) -> None:
        if gradient is not None and tensor.ref() in on_the_way:
            gradient.set_shape(tensor.shape)
            known = sums.get(tensor.ref())
            sums[tensor.ref()] = gradient if known is None else known + gradient

    for result, seed in zip(results, seeds, strict=True):
        add(result, seed)
    fallbacks: list[tuple[str, str]] = []
    for operation in reversed(operations):
        gradients = [sums.get(output.ref()) for output in operation.outputs]
        needed = [tensor.ref() in on_the_way for tensor in operation.inputs]
        if not any(needed) or all(gradient is None for gradient in gradients):
            continue
        one_hot = classes if gradients[0] is seeds[0] else None
        node = Node(operation, gradients, needed, one_hot)
        source, gradient = shortcut(node)
        if source is not None:
            add(source, gradient)
            continue
        for tensor, gradient in zip(operation.inputs, _gradients(node, fallbacks), strict=True):
            add(tensor, gradient)
    return Gradients([sums.get(source.ref()) for source in sources], fallbacks)


def connected(results: Sequence[Any], source: Any) -> bool:
    """Whether a differentiable path leads from ``source`` to one of the results."""
    on_the_way = downstream_of([source], results)
    return any(result.ref() in on_the_way for result in results)


def downstream_of(
    sources: Iterable[Any], results: Sequence[Any], through: Callable[[Any], bool] = lambda tensor: True
) -> set[Any]:
    """References of the tensors between the sources and the results, both included, on paths through some of them."""
    return _downstream(_upstream(results), {source.ref() for source in sources}, through)


def _upstream(results: Sequence[Any]) -> list[Any]:
    """The operations that the results depend on, each after those that it reads."""
    order: dict[Any, None] = {}
    seen: set[int] = set()
    stack: list[tuple[Any, bool]] = [(result.op, False) for result in results]
    while stack:
        operation, read = stack.pop()
        if read:
            order[operation] = None
        elif id(operation) not in seen:
            seen.add(id(operation))
            stack.append((operation, True))
            stack.extend((tensor.op, False) for tensor in operation.inputs)
    return list(order)


def _downstream(
    operations: Iterable[Any], sources: set[Any], through: Callable[[Any], bool] = lambda tensor: True
) -> set[Any]:
    """References of the tensors that depend on the sources and can have a gradient, the sources included."""
    found = set(sources)
    for operation in operations:
        if operation.type not in FLAT and any(tensor.ref() in found for tensor in operation.inputs):
            differentiable = [o for o in operation.outputs if o.dtype.is_floating or o.dtype == tf.variant]
            found.update(output.ref() for output in differentiable if through(output))
    return found


def _gradients(node: Node, fallbacks: list[tuple[str, str]]) -> Sequence[Any]:
    inner = inlined_call(node.op)
    if inner is not None:
        return _through_call(node, *inner, fallbacks)
    rule = RULES.get(node.op.type)
    # The rules may rely on known ranks; further outputs, such as space that is reserved, may have none.
    ranked = all(tensor.shape.rank is not None for tensor in (*node.op.inputs, node.op.outputs[0]))
    found = NotImplemented if rule is None or not ranked else rule(node)
    if found is NotImplemented or any(gradient is NotImplemented for gradient in found):
        fallbacks.append((node.op.type, node.op.name))
        return _registered(node)
    return found  # type: ignore[no-any-return]


def _through_call(node: Node, inputs: list[Any], outputs: list[Any], fallbacks: list[tuple[str, str]]) -> list[Any]:
    """The walk through the body of a function that the operation calls."""
    places = [place for place, needed in enumerate(node.wanted) if needed]
    reached = [(out, seed) for out, seed in zip(outputs, node.gradients, strict=True) if seed is not None]
    results, seeds = zip(*reached, strict=True)
    inner = vjp(results, seeds, [inputs[place] for place in places], node.classes)
    fallbacks.extend(inner.fallbacks)
    found: list[Any] = [None] * len(inputs)
    for place, gradient in zip(places, inner.of, strict=True):
        found[place] = gradient
    return found


def _registered(node: Node) -> list[Any]:
    """TensorFlow's own gradient, computed in the types of the forward pass."""
    gradients = [_filled(gradient, out) for gradient, out in zip(node.gradients, node.op.outputs, strict=True)]
    try:
        function = get_gradient_function(node.op)
        # None for an operation that is registered as one without a gradient: constant to whatever reads it.
        found = [None] * len(node.wanted) if function is None else function(node.op, *gradients)
    except Exception as error:
        raise NoGradientError(
            f"The operation {node.op.type!r} ({node.op.name!r}) between the layer and the score has no gradient: "
            f"{error}. Tap a layer after it, or use a method without gradients, such as 'reciprocam' or 'deviation'."
        ) from error
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    dense = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]
    return [None if gradient is None else _cast(gradient, backward_dtype(gradient.dtype)) for gradient in dense]


def _filled(gradient: Any, output: Any) -> Any:
    """A gradient in the type of its output, zeros for None."""
    if gradient is None:
        # Loops also hand through the variables that they read: nothing can be like these.
        return None if output.dtype == tf.resource else tf.zeros_like(output)
    return _cast(gradient, output.dtype)


def _cast(gradient: Any, dtype: tf.DType) -> Any:
    return tf.cast(gradient, dtype) if dtype.is_floating else gradient
