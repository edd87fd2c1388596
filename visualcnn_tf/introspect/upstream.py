"""What a tensor of a TensorFlow graph is computed from."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
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
