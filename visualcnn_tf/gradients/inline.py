"""Function calls in the graph, replaced by the operations of the function, so that gradients can pass through."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.introspect.function_bodies import FUNCTION_CALLS, copy_of_body, function_definitions


def inline_call(op: tf.Operation) -> tuple[list[tf.Tensor], list[tf.Tensor]] | None:
    """Copy the body of the function that an operation calls into the current graph.

    Returns:
        The inputs and the outputs of the copy; None for an operation that calls no function.
    """
    if op.type not in FUNCTION_CALLS:
        return None
    # New tensors: the gradient with respect to an argument leaves out the other readers of the tensor that is passed.
    inputs = [tf.identity(tensor) if tensor.dtype.is_floating else tensor for tensor in op.inputs]
    return inputs, copy_of_body(function_definitions(op.graph)[op.get_attr("f").name], inputs)
