"""Products with matrices that are constant, or become so when a model is exported."""

from __future__ import annotations

import tensorflow as tf


def matmul_last_axis(values: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Compute ``values @ matrix`` over the last axis of values of which only the batch size may be unknown.

    The matrix is the right factor, since integer quantization is inexact for one on the left. Both factors have rank
    2, since TensorFlow 2.21 may write out of bounds in a product of rank 4 and rank 2 (tensorflow/tensorflow#117700).
    """
    sizes, (before, after) = values.shape[1:-1], matrix.shape
    flat = tf.matmul(tf.reshape(values, [-1, before]), matrix)
    return tf.reshape(flat, [-1, *sizes, after])
