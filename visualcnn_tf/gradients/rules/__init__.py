"""The rules of the backward walk by the type of the operation: the extension point for further operations.

A rule is a function from a :class:`~visualcnn_tf.gradients.node.Node` to one gradient for each input. To add one,
write it in the file of its family, and add its row to the table there.
"""

from __future__ import annotations

from typing import Any

from visualcnn_tf.gradients.node import Node, Rule
from visualcnn_tf.gradients.rules import (
    activations,
    conv,
    depthwise,
    elementwise,
    gather,
    linear,
    norm,
    pool,
    reductions,
    resize,
    shape,
    slicing,
)
from visualcnn_tf.gradients.rules.gelu import gelu_gradient

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **activations.RULES,
    **shape.RULES,
    **slicing.RULES,
    **reductions.RULES,
    **linear.RULES,
    **norm.RULES,
    **conv.RULES,
    **depthwise.RULES,
    **pool.RULES,
    **resize.RULES,
    **gather.RULES,
}
FLAT = elementwise.FLAT


def shortcut(node: Node) -> tuple[Any, Any]:
    """For the last operation of a pattern that must stay whole, what it reads and the gradient; else (None, None)."""
    return gelu_gradient(node.op.outputs[0], node.gradient)
