"""The bodies of functions that a graph calls, copied into the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

#: The types of operations that call a function.
FUNCTION_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def function_definitions(graph: tf.Graph) -> dict[str, Any]:
    """Return the FunctionDef of each function of a graph, by name."""
    return {f.signature.name: f for f in graph.as_graph_def(add_shapes=False).library.function}


def copy_of_body(definition: Any, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Copy the body of a function into the current graph, and return its outputs.

    Args:
        definition: the FunctionDef.
        inputs: what it is called on.
    """
    body, names = function_def_to_graph_def(definition, [tensor.shape for tensor in inputs])
    arguments = definition.signature.input_arg
    # What runs under control dependencies can't be imported; the call itself has them already.
    with tf.control_dependencies(None):
        outputs = tf.graph_util.import_graph_def(
            body,
            name="body",  # the name of the function may not be valid as a scope
            input_map={f"{arg.name}:0": tensor for arg, tensor in zip(arguments, inputs, strict=True)},
            return_elements=[names[definition.ret[out.name]] for out in definition.signature.output_arg],
        )
    return list(outputs)
