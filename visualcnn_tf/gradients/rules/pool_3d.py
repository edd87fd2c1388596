"""Gradients of max pooling and average pooling over volumes.

A pooling of volumes is one of rows and columns, followed by one of depth. So its gradient is that of two poolings of
images, which does not depend on how TensorFlow computes it: with several equal maxima, the gradient that TensorFlow has
registered for MaxPool3D differs between its CPU libraries.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import tensorflow as tf

from visualcnn_tf.gradients.node import InputGradients, Node, Rule
from visualcnn_tf.gradients.not_covered import NotCoveredError, require
from visualcnn_tf.gradients.registered import registered_gradient
from visualcnn_tf.gradients.rules import pool
from visualcnn_tf.gradients.tensors import reshape_like
from visualcnn_tf.ops.layout import from_channels_last, to_channels_last


def _by_images(pool_images: Callable[..., tf.Tensor], rule: Rule) -> Rule:
    """Return the rule of a pooling of volumes, given the same pooling of images and its rule."""

    def differentiate(node: Node) -> InputGradients:
        first = node.attribute("data_format") == "NCDHW"
        data_format = "channels_first" if first else "channels_last"
        kernel, strides = (_over_space(node.attribute(name), first) for name in ("ksize", "strides"))
        padding = node.attribute("padding")
        volumes = to_channels_last(node.inputs[0], data_format)
        depth, *image = _sizes(volumes)
        images = tf.reshape(volumes, [-1, *image])
        flat = pool_images(images, kernel[1:], strides[1:], padding)
        rows, columns, channels = _sizes(flat)
        lines = tf.reshape(flat, [-1, depth, rows * columns, channels])
        pooled = pool_images(lines, [kernel[0], 1], [strides[0], 1], padding)
        gradient = to_channels_last(node.gradient, data_format)
        for output in (pooled, flat):
            gradient = _gradient_of_images(output.op, reshape_like(gradient, output), rule)
        return [from_channels_last(reshape_like(gradient, volumes), data_format)]

    return differentiate


def _over_space(numbers: list[int], channels_first: bool) -> list[int]:
    """Return a kernel or its strides along depth, rows and columns; pooling over channels is not covered."""
    channel = 1 if channels_first else -1
    require(numbers[0] == numbers[channel] == 1)
    return numbers[2:] if channels_first else numbers[1:-1]


def _sizes(tensor: tf.Tensor) -> list[int | tf.Tensor]:
    """Return all sizes but that of the batch, which are tensors where they are unknown."""
    dynamic = tf.shape(tensor)
    return [known or dynamic[axis] for axis, known in enumerate(tensor.shape) if axis]


def _gradient_of_images(operation: tf.Operation, gradient: tf.Tensor, rule: Rule) -> tf.Tensor:
    """Differentiate a pooling of images, of unknown size by TensorFlow's own gradient."""
    node = Node(operation, [gradient], [True])
    with suppress(NotCoveredError):
        return rule(node)[0]
    return registered_gradient(node)[0]


RULES: dict[str, Rule] = {
    "AvgPool3D": _by_images(tf.nn.avg_pool2d, pool.RULES["AvgPool"]),
    "MaxPool3D": _by_images(tf.nn.max_pool2d, pool.RULES["MaxPool"]),
}
