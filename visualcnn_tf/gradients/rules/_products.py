"""Products with matrices that are constant, or become so when a model is exported."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def matmul_last_axis(values: Any, weights: Any) -> Any:
    """``values @ weights``, over the last axis of values of which no other size but the batch is unknown.

    The weights stand on the right, as quantization to integers spoils them on the left; and both factors are
    matrices, as TensorFlow 2.21 may write out of bounds in a product of rank 4 and rank 2
    (tensorflow/tensorflow#117700).
    """
    sizes, (before, after) = values.shape[1:-1], weights.shape
    flat = tf.matmul(tf.reshape(values, [-1, before]), weights)
    return tf.reshape(flat, [-1, *sizes, after])
