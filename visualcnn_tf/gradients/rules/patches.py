"""The gradient of extracting patches, as hand-written vision transformers do."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import require


def _extract_patches(node: Node) -> InputGradients:
    """``dx = conv_transpose(dy, I)``: patches are a convolution whose kernel is an identity."""
    _, *size, channels = node.op.inputs[0].shape
    require(None not in (*size, channels) and set(node.attribute("rates")) == {1})
    _, height, width, _ = node.attribute("ksizes")
    values = height * width * channels
    kernel = tf.constant(np.eye(values).reshape([height, width, channels, values]), node.gradient.dtype)
    shape = tf.stack([tf.shape(node.gradient)[0], *size, channels])
    strides, padding = node.attribute("strides"), node.attribute("padding")
    return [tf.nn.conv2d_transpose(node.gradient, kernel, shape, strides, padding)]


RULES: dict[str, Rule] = {"ExtractImagePatches": _extract_patches}
