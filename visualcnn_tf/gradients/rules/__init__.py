"""The gradient rules by the type of the operation: the extension point for further operations.

A rule is a function from a :class:`~visualcnn_tf.gradients.node.Node` to the gradient of each input. To add one, write
it in the file of its family, and add its row to the table ``RULES`` there.
"""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.rules import (
    activations,
    conv,
    depthwise,
    elementwise,
    gather,
    linear,
    norm,
    patches,
    pool,
    pool_3d,
    reductions,
    resize,
    shape,
    slicing,
    strided_slice,
)
from visualcnn_tf.gradients.rules.gelu import gelu_gradient

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **activations.RULES,
    **shape.RULES,
    **slicing.RULES,
    **strided_slice.RULES,
    **reductions.RULES,
    **linear.RULES,
    **norm.RULES,
    **conv.RULES,
    **depthwise.RULES,
    **patches.RULES,
    **pool.RULES,
    **pool_3d.RULES,
    **resize.RULES,
    **gather.RULES,
}
#: Operations whose derivative is zero, or is defined to be: no gradient passes through them.
ZERO_GRADIENT = elementwise.ZERO_GRADIENT


def composite_gradient(node: Node) -> tuple[tf.Tensor, tf.Tensor] | None:
    """Differentiate a function that the graph computes in several operations as a whole, given the last of them.

    Returns:
        The input of the function and its gradient; None if the operation does not end such a function. GELU is the
        only one.
    """
    return gelu_gradient(node.op.outputs[0], node.gradient)
