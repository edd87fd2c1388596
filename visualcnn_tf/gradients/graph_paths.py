"""Paths in the current graph: which operations and tensors lie between sources and results."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import tensorflow as tf

from visualcnn_tf.gradients.rules import ZERO_GRADIENT


def connected(results: Sequence[tf.Tensor], source: tf.Tensor) -> bool:
    """Return whether a differentiable path leads from ``source`` to one of the results."""
    on_path = downstream_of([source], results)
    return any(result.ref() in on_path for result in results)


def downstream_of(sources: Iterable[tf.Tensor], results: Sequence[tf.Tensor]) -> set[Hashable]:
    """Find the tensors on differentiable paths from the sources on, as far as the results depend on them.

    Args:
        sources: where the paths start.
        results: where they end.

    Returns:
        ``tensor.ref()`` of each tensor, those of all sources included.
    """
    return differentiable_tensors(upstream_operations(results), sources)


def upstream_operations(results: Sequence[tf.Tensor]) -> list[tf.Operation]:
    """Return the operations that the results depend on, each after those that compute its inputs."""
    ordered: dict[tf.Operation, None] = {}
    seen: set[int] = set()
    stack: list[tuple[tf.Operation, bool]] = [(result.op, False) for result in results]
    while stack:
        op, inputs_done = stack.pop()
        if inputs_done:
            ordered[op] = None
        elif id(op) not in seen:
            seen.add(id(op))
            stack.append((op, True))
            stack.extend((tensor.op, False) for tensor in op.inputs)
    return list(ordered)


def differentiable_tensors(operations: Iterable[tf.Operation], sources: Iterable[tf.Tensor]) -> set[Hashable]:
    """Return ``tensor.ref()`` of the sources and of each output of the ordered operations that depends on them."""
    found = {source.ref() for source in sources}
    for op in operations:
        if op.type not in ZERO_GRADIENT and any(tensor.ref() in found for tensor in op.inputs):
            found.update(output.ref() for output in op.outputs if _is_differentiable(output))
    return found


def _is_differentiable(tensor: tf.Tensor) -> bool:
    # A variant tensor may hold a list of floats, as those of loops do.
    return bool(tensor.dtype.is_floating or tensor.dtype == tf.variant)
