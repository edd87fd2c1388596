"""What a tensor of a TensorFlow graph is computed from."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from typing import Any

import tensorflow as tf

#: The types of operations that read the shape of a tensor alone, not its values.
READING_SHAPES = frozenset(["OnesLike", "Rank", "Shape", "ShapeN", "Size", "ZerosLike"])


def upstream(*tensors: tf.Tensor) -> set[Any]:
    """Return references of all tensors that these tensors are computed from, themselves included."""
    seen = set()
    todo = list(tensors)
    while todo:
        current = todo.pop()
        if current.ref() not in seen:
            seen.add(current.ref())
            todo.extend(current.op.inputs)
    return seen


def operations_between(source: tf.Tensor, results: Sequence[tf.Tensor]) -> list[tf.Operation]:
    """Return the operations on all paths of values from a tensor to others, in the order in which they run."""
    needed, reached = upstream(*results), {source.ref()}
    found = []
    for op in source.graph.get_operations():
        if op.type not in READING_SHAPES and any(tensor.ref() in reached for tensor in op.inputs):
            outputs = [tensor.ref() for tensor in op.outputs if tensor.ref() in needed]
            if outputs:
                reached.update(outputs)
                found.append(op)
    return found


def nearest_upstream(tensor: tf.Tensor, known: Container[Any]) -> list[Any]:
    """Return references of the ``known`` tensors that ``tensor`` is computed from with no other known one between.

    The nearest come first; ``tensor`` itself is never among them.
    """
    found: dict[Any, None] = {}
    seen = set()
    todo = deque(tensor.op.inputs)
    while todo:
        current = todo.popleft()
        reference = current.ref()
        if reference in seen:
            continue
        seen.add(reference)
        if reference in known:
            found[reference] = None
        else:
            todo.extend(current.op.inputs)
    return list(found)


def is_upstream(source: tf.Tensor, tensor: tf.Tensor) -> bool:
    """Return whether ``tensor`` is ``source`` or computed from it."""
    return source is tensor or bool(nearest_upstream(tensor, {source.ref()}))
