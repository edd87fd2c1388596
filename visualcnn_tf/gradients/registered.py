"""The gradient that TensorFlow has registered for an operation, for operations without a rule."""

from __future__ import annotations

import tensorflow as tf

# There is no public access to the registered gradient of a single operation.
from tensorflow.python.framework.ops import get_gradient_function

from visualcnn_tf.errors import NoGradientError
from visualcnn_tf.gradients.node import InputGradients, Node
from visualcnn_tf.gradients.tensors import gradient_dtype


def registered_gradient(node: Node) -> InputGradients:
    """Differentiate an operation by TensorFlow's own gradient, computed in the dtypes of the forward pass.

    Raises:
        NoGradientError: if TensorFlow has none, or it fails.
    """
    gradients = [_fill(gradient, output) for gradient, output in zip(node.gradients, node.op.outputs, strict=True)]
    try:
        function = get_gradient_function(node.op)
        # None for operations that are registered as not differentiable: their output counts as constant.
        found = [None] * len(node.needs_gradient) if function is None else function(node.op, *gradients)
    except Exception as error:
        raise NoGradientError(
            f"The operation {node.op.type!r} ({node.op.name!r}) between the layer and the score has no gradient: "
            f"{error}. Tap a layer after it, or use a method without gradients, such as 'reciprocam' or 'deviation'."
        ) from error
    found = found if isinstance(found, (list, tuple)) else [found]
    dense = [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]
    return [None if gradient is None else _cast(gradient, gradient_dtype(gradient.dtype)) for gradient in dense]


def _fill(gradient: tf.Tensor | None, output: tf.Tensor) -> tf.Tensor | None:
    """Return the gradient of an output in the dtype of that output, zeros for None."""
    if gradient is None:
        # Loops also output the variables that they read, which have no zeros like them.
        return None if output.dtype == tf.resource else tf.zeros_like(output)
    return _cast(gradient, output.dtype)


def _cast(gradient: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return tf.cast(gradient, dtype) if dtype.is_floating else gradient
