"""The gradient of batch normalization at inference, where the statistics are given."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require


def _fused_batch_norm(node: Node) -> InputGradients:
    """``dx = dy · scale / √(variance + ε)``."""
    require(not node.attribute("is_training") and not any(node.needs_gradient[1:]))
    _, scale, _, _, variance = node.inputs
    factor = scale * tf.math.rsqrt(variance + node.attribute("epsilon"))
    if node.attribute("data_format") == "NCHW":
        factor = tf.reshape(factor, [-1, 1, 1])
    return [node.gradient * factor, None, None, None, None]


RULES: dict[str, Rule] = dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _fused_batch_norm)
