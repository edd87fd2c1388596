"""Function calls in the graph, replaced by the operations of the function, so that gradients can pass through."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def inline_call(op: tf.Operation) -> tuple[list[tf.Tensor], list[tf.Tensor]] | None:
    """Copy the body of the function that an operation calls into the current graph.

    Returns:
        The inputs and the outputs of the copy; None for an operation that calls no function.
    """
    if op.type not in _CALLS:
        return None
    definition = _definition(op.graph, op.get_attr("f").name)
    body, names = function_def_to_graph_def(definition, [tensor.shape for tensor in op.inputs])
    arguments = definition.signature.input_arg
    # New tensors: the gradient with respect to an argument leaves out the other readers of the tensor that is passed.
    inputs = [tf.identity(tensor) if tensor.dtype.is_floating else tensor for tensor in op.inputs]
    # What runs under control dependencies can't be imported; the call itself has them already.
    with tf.control_dependencies(None):
        outputs = tf.graph_util.import_graph_def(
            body,
            name="body",  # the name of the function may not be valid as a scope
            input_map={f"{arg.name}:0": tensor for arg, tensor in zip(arguments, inputs, strict=True)},
            return_elements=[names[definition.ret[out.name]] for out in definition.signature.output_arg],
        )
    return inputs, list(outputs)


def _definition(graph: tf.Graph, name: str) -> Any:
    """Return the FunctionDef of a function of the graph."""
    return next(f for f in graph.as_graph_def(add_shapes=False).library.function if f.signature.name == name)
