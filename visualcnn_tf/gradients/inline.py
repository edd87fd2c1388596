"""Function calls in the graph: their bodies, put beside them, so that the walk can go through."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def inlined_call(op: Any) -> tuple[list[Any], list[Any]] | None:
    """A copy of the body of the function that an operation calls: its inputs and its outputs; else None."""
    if op.type not in _CALLS:
        return None
    definition = _definition(op.graph, op.get_attr("f").name)
    body, names = function_def_to_graph_def(definition, [tensor.shape for tensor in op.inputs])
    arguments = definition.signature.input_arg
    # Tensors of their own: the gradient with respect to an argument is not that of all readers of what is passed.
    inputs = [tf.identity(tensor) if tensor.dtype.is_floating else tensor for tensor in op.inputs]
    # What runs under control dependencies can't be imported; the call itself has them already.
    with tf.control_dependencies(None):
        outputs = tf.graph_util.import_graph_def(
            body,
            name="body",  # its own name may not be valid as a scope
            input_map={f"{arg.name}:0": tensor for arg, tensor in zip(arguments, inputs, strict=True)},
            return_elements=[names[definition.ret[out.name]] for out in definition.signature.output_arg],
        )
    return inputs, list(outputs)


def _definition(graph: Any, name: str) -> Any:
    return next(f for f in graph.as_graph_def(add_shapes=False).library.function if f.signature.name == name)
