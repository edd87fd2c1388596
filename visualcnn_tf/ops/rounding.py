"""What float32 rounding alone leaves of numbers that are equal, and of sums that cancel."""

from __future__ import annotations

import tensorflow as tf

#: Numbers that differ by less than this part of the largest of them are equal up to rounding: each is rounded in its
#: 24th bit, by 6e-8 of itself, and comes from a few operations.
CONSTANT = 1e-6
#: A sum of less than this part of the sum of its terms' magnitudes is rounding alone. Each term carries the rounding of
#: the operations that it comes from, and each addition adds its own, so this is ten times as much as ``CONSTANT``.
CANCELED = 1e-5


def divide_unless_canceled(numerator: tf.Tensor, denominator: tf.Tensor, magnitude: tf.Tensor) -> tf.Tensor:
    """Return the quotient, and 0 where the denominator is zero or rounding alone.

    Args:
        numerator: What is divided.
        denominator: A sum.
        magnitude: The sum of the magnitudes of the denominator's terms.
    """
    # The difference is NaN where either is infinite, and NaN is not at most 0: the quotient is NaN there, too.
    canceled = tf.abs(denominator) - CANCELED * magnitude <= 0.0
    quotient = numerator / tf.where(canceled, tf.ones_like(denominator), denominator)
    return tf.where(canceled, tf.zeros_like(quotient), quotient)
