"""Means over channels and over space, each by the operations whose kernels are the quickest.

What it buys: XLA's own sum over the last axis takes several times as long on a CPU as a product with ones, and
TensorFlow's own mean over two axes at once twice as long as one axis after the other.

Methods call these without arguments beyond the tensor, so they find out for themselves where they will run.
"""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.ops.fast.environment import Environment

# XLA multiplies so few channels one by one; sums take them four at a time.
_FEW = range(4, 64, 4)


def channel_mean(tensor: tf.Tensor) -> tf.Tensor:
    """Return the mean over the last axis."""
    if not Environment.current().compiled_for_cpu:
        return tf.reduce_mean(tensor, -1)
    channels = tensor.shape[-1] or tf.shape(tensor)[-1]
    share = 1.0 / tf.cast(channels, tf.float32)
    if tensor.shape[-1] in _FEW:
        fours = tf.reduce_sum(tf.reshape(tensor, [-1, channels // 4, 4]), 1)
        means = tf.add_n(tf.unstack(fours, axis=-1)) * share
    else:
        means = tf.matmul(tf.reshape(tensor, [-1, channels]), tf.fill([channels, 1], share))
    return tf.reshape(means, tf.shape(tensor)[:-1])


def spatial_mean(tensor: tf.Tensor) -> tf.Tensor:
    """Return the mean over the axes between the first and the last, which keep a size of 1."""
    space = list(range(1, tensor.shape.rank - 1))
    if Environment.current().compiled:
        return tf.reduce_mean(tensor, space, keepdims=True)
    for axis in space:
        tensor = tf.reduce_mean(tensor, axis, keepdims=True)
    return tensor
