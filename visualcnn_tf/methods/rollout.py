"""Rolling attention out: what the tokens that a head reads have taken from each token of a layer, over all blocks.

Token i of a block takes from the tokens before it by row i of a matrix ``M_l (B, N, N)``. Over all blocks it takes by
row i of the product ``M_L ··· M_2 M_1``. A head reads the rows with shares ``r``, so all that is needed is the vector
``M_1ᵀ M_2ᵀ ··· M_Lᵀ r``: L products with a vector, where the papers multiply matrices. The shares, a constant, are the
right factor: integer quantization is inexact for one on the left.
"""

from __future__ import annotations

import tensorflow as tf

_EXTREMES = {"max": tf.reduce_max, "min": tf.reduce_min}
#: How several heads become one.
HEADS = ("mean", *_EXTREMES)


def one_head(weights: tf.Tensor, heads: str) -> tf.Tensor:
    """Return one matrix ``(B, N, N)`` of weights ``(B, heads, N, N)``: the mean, the largest or the smallest."""
    mean = tf.reduce_mean(weights, 1)
    if heads == "mean":
        return mean
    # A maximum may skip NaN; this term is 0 for finite values and NaN for all others.
    return _EXTREMES[heads](weights, 1) + (mean - mean)


def taken_from(weights: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Return ``Mᵀ r``: what tokens with these shares take from each token of the block before.

    Args:
        weights: ``(B, N, N)``.
        shares: ``(B, N, 1)``, or ``(1, N, 1)`` where they are the same for each example.
    """
    return tf.matmul(weights, shares, transpose_a=True)
