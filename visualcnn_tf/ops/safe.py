"""Division and square root with a defined value, and a finite gradient, at zero."""

from __future__ import annotations

import tensorflow as tf


def safe_sqrt(x: tf.Tensor) -> tf.Tensor:
    """Return the square root of numbers that are not negative, with a zero, not an infinite, gradient at zero."""
    positive = x > 0.0
    root = tf.sqrt(tf.where(positive, x, tf.ones_like(x)))
    # NaN is not positive either: `x - x` passes it on where a plain zero would hide it.
    return tf.where(positive, root, x - x)


def divide_or_keep(x: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    """Return ``x / by``, and ``x`` itself where ``by`` is zero."""
    return x / tf.where(by == 0.0, tf.ones_like(by), by)
