"""Normalization with statistics that are given."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from visualcnn_tf.gradients.node import Node, Rule


def _fused_batch_norm(node: Node) -> Any:
    if node.attribute("is_training") or any(node.needs_gradient[1:]):
        return NotImplemented
    _, scale, _, _, variance = node.inputs
    factor = scale * tf.math.rsqrt(variance + node.attribute("epsilon"))
    if node.attribute("data_format") == "NCHW":
        factor = tf.reshape(factor, [-1, 1, 1])
    return [node.gradient * factor, None, None, None, None]


RULES: dict[str, Rule] = dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"), _fused_batch_norm)
