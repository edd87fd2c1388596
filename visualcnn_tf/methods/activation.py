"""Class-agnostic fusions: activations ``A`` of shape ``(B, h, w, C)`` to one map ``(B, h, w)`` per image.

Every function also takes signals ``(B, t, C)`` and volumes ``(B, d, h, w, C)``, expects float32, and uses only
ops that XLA compiles and TensorFlow Lite has natively.
"""

from __future__ import annotations

import functools
import operator

import tensorflow as tf

from visualcnn_tf.ops.fast.means import channel_mean, spatial_mean

# 2**7 = 128 powers: (σ₂/σ₁)² = 0.81 decays to 2e-12, below what float32 can tell from zero.
_SQUARINGS = 7
_CLEAR_CORRELATION = 0.05
_CONSTANT = 1e-6


def deviation(activations: tf.Tensor) -> tf.Tensor:
    """Mean over channels of ``|A_k - mean over space of A_k|``: where channels leave their usual level."""
    return channel_mean(tf.abs(activations - spatial_mean(activations)))


def mean(activations: tf.Tensor) -> tf.Tensor:
    """Mean over channels of ``A_k``."""
    return channel_mean(activations)


def mean_abs(activations: tf.Tensor) -> tf.Tensor:
    """Mean over channels of ``|A_k|``."""
    return channel_mean(tf.abs(activations))


def max_(activations: tf.Tensor) -> tf.Tensor:
    """Maximum over channels of ``A_k``: the strongest single response."""
    # A maximum may skip NaN and minus infinity; this term is zero for images of finite values and NaN for all others.
    probe = channel_mean(spatial_mean(activations))
    return tf.reduce_max(activations, -1) + (probe - probe)


def l2(activations: tf.Tensor) -> tf.Tensor:
    """Root mean square over channels of ``A_k``."""
    return _sqrt(channel_mean(tf.square(activations)))


def std(activations: tf.Tensor) -> tf.Tensor:
    """Standard deviation over channels of ``A_k`` (population, not sample)."""
    centerd = activations - channel_mean(activations)[..., tf.newaxis]
    return _sqrt(channel_mean(tf.square(centerd)))


def eigen(activations: tf.Tensor) -> tf.Tensor:
    """Eigen-CAM: projection of ``A``, as a ``(h·w, C)`` matrix, on its first right singular vector.

    Not centerd, as in the paper (Muhammad and Yeasin, arXiv 2008.00299, eq. 4). A singular vector has no sign of
    its own: the map correlates positively with the mean activation or, where the two hardly correlate
    (``|r| < 0.05``, or one is constant), has a positive largest entry.
    """
    dynamic = tf.shape(activations)
    *space, channels = [known or dynamic[axis + 1] for axis, known in enumerate(activations.shape[1:])]
    matrix = tf.reshape(activations, [-1, functools.reduce(operator.mul, space), channels])
    # Scaled to a largest entry of 1, so that no square under- or overflows.
    largest = tf.reduce_max(tf.abs(matrix), [1, 2], keepdims=True)
    matrix = _divide(matrix, largest)
    projection = tf.matmul(matrix, _right_singular_vector(matrix))[..., 0]
    projection *= _sign(projection, tf.reduce_mean(matrix, -1)) * largest[..., 0]
    return tf.reshape(projection, [-1, *space])


def _right_singular_vector(matrix: tf.Tensor) -> tf.Tensor:
    """First right singular vector ``(B, C, 1)`` of ``(B, N, C)``, by way of the smaller Gram matrix."""

    def from_channels() -> tf.Tensor:
        return _dominant_vector(tf.matmul(matrix, matrix, transpose_a=True))

    def from_places() -> tf.Tensor:
        left = _dominant_vector(tf.matmul(matrix, matrix, transpose_b=True))
        return tf.matmul(matrix, left, transpose_a=True)

    places, channels = matrix.shape[1:]
    if places is None or channels is None:
        shape = tf.shape(matrix)
        vector = tf.cond(shape[1] < shape[2], from_places, from_channels)
    else:
        vector = from_places() if places < channels else from_channels()
    return _divide(vector, _sqrt(tf.reduce_sum(tf.square(vector), 1, keepdims=True)))


def _dominant_vector(gram: tf.Tensor) -> tf.Tensor:
    """Dominant eigenvector ``(B, n, 1)``, of any length, of ``(B, n, n)`` by repeated squaring."""
    for _ in range(_SQUARINGS):
        gram = _divide(gram, tf.reduce_max(tf.abs(gram), [1, 2], keepdims=True))
        gram = tf.matmul(gram, gram)
    # The power is now v·vᵀ up to scale: every row is a multiple of v. The longest one is never near zero, where a
    # fixed start (the mean, say) may happen to be orthogonal to v.
    longest = tf.argmax(tf.reduce_sum(tf.square(gram), -1), -1, output_type=tf.int32)
    return tf.gather(gram, longest, batch_dims=1)[..., tf.newaxis]


def _sign(projection: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """``(B, 1)`` of plus or minus one that makes ``(B, N)`` projections agree with the reference."""
    p = projection - tf.reduce_mean(projection, 1, keepdims=True)
    r = reference - tf.reduce_mean(reference, 1, keepdims=True)
    covariance = tf.reduce_sum(p * r, 1, keepdims=True)
    scale = _sqrt(tf.reduce_sum(p * p, 1, keepdims=True)) * _sqrt(tf.reduce_sum(r * r, 1, keepdims=True))
    clear = tf.abs(covariance) >= _CLEAR_CORRELATION * scale
    # The sign of a map that is constant must not hang on rounding; the reference is a mean of numbers up to 1.
    high, low = tf.reduce_max(projection, 1, keepdims=True), tf.reduce_min(projection, 1, keepdims=True)
    clear = tf.logical_and(clear, high - low > _CONSTANT * tf.maximum(high, -low))
    spread = tf.reduce_max(reference, 1, keepdims=True) - tf.reduce_min(reference, 1, keepdims=True)
    clear = tf.logical_and(clear, spread > _CONSTANT)
    decider = tf.where(clear, covariance, high + low)
    return tf.where(decider < 0.0, -tf.ones_like(decider), tf.ones_like(decider))


def _divide(x: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    """``x / by``, and ``x`` itself where ``by`` is zero."""
    return x / tf.where(by == 0.0, tf.ones_like(by), by)


def _sqrt(x: tf.Tensor) -> tf.Tensor:
    """Square root with a zero, not an infinite, gradient at zero."""
    positive = x > 0.0
    root = tf.sqrt(tf.where(positive, x, tf.ones_like(x)))
    # NaN is not positive either: `x - x` hands it on where a plain zero would hide it.
    return tf.where(positive, root, x - x)
