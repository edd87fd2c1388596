"""Calls that show one element of many, or nothing: in loops, branches, functions and vectorized maps.

``tf.vectorized_map`` runs a function once, on the first element, and then computes all elements by operations of its
own. ``keras.ops.map`` and recurrent layers run it on the first element to learn its shape, and again in a loop. What
a hook sees in the model's graph is the first element then, from which no output of the model is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import tensorflow as tf

from visualcnn_tf.introspect.upstream import upstream

#: Why the calls of a layer can't be tapped if one of them ran in a graph of its own.
IN_ANOTHER_GRAPH = (
    "it runs inside a loop, a branch or a tf.function, out of reach of the model's graph; instead of looping over "
    "elements, merge them into the batch by a reshape"
)
#: Why a call can't be tapped that ran on the first element of ``tf.vectorized_map``.
IN_VECTORIZED_MAP = (
    "it runs once for each element of `vectorized_map`, of which only the first can be seen; merge the elements into "
    "the batch by a reshape instead"
)


def is_elsewhere(outputs: Sequence[Any], graph: tf.Graph) -> bool:
    """Return whether any of a call's outputs is a tensor of another graph."""
    return any(getattr(leaf, "graph", graph) is not graph for leaf in outputs if isinstance(leaf, tf.Tensor))


def first_elements(graph: tf.Graph, outputs: Iterable[tf.Tensor]) -> set[Any]:
    """Return references of the tensors that depend on the loop variable of a ``tf.vectorized_map``.

    That is a placeholder which no output of the model depends on.

    Args:
        graph: the model's graph.
        outputs: the outputs of the model.
    """
    operations = graph.get_operations()
    placeholders = [op.outputs[0] for op in operations if op.type == "PlaceholderWithDefault"]
    if not placeholders:
        return set()
    needed = upstream(*outputs)
    found = {tensor.ref() for tensor in placeholders if tensor.ref() not in needed}
    for op in operations:
        if any(tensor.ref() in found for tensor in op.inputs):
            found.update(output.ref() for output in op.outputs)
    return found
