"""Eigen: the dominant pattern of the feature maps (Eigen-CAM)."""

from __future__ import annotations

import functools
import operator
from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import ActivationMethod
from visualcnn_tf.ops.rounding import CONSTANT
from visualcnn_tf.ops.safe import divide_or_keep, safe_sqrt

# 2**7 = 128 powers: (σ₂/σ₁)² = 0.81 decays to 2e-12, below what float32 can tell from zero.
_SQUARINGS = 7
_CLEAR_CORRELATION = 0.05


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Eigen(ActivationMethod):
    """Show the dominant pattern (Eigen-CAM): ``A v₁``, the projection on the first right singular vector.

    ``A`` is the ``(h·w, C)`` matrix of the feature maps, not centered, as in the paper: Muhammad and Yeasin,
    "Eigen-CAM", https://arxiv.org/abs/2008.00299, equation 4. A singular vector has no sign of its own: the map
    correlates positively with the mean activation or, where the two hardly correlate (``|r| < 0.05``, or one is
    constant), has a positive largest entry. Costs a Gram matrix of the smaller side, squared 7 times.

    Example:
        >>> import tensorflow as tf
        >>> Eigen()(tf.constant([[[[3.0, 4.0], [0.0, 0.0]]]])).numpy().round(4).tolist()
        [[[5.0, 0.0]]]
    """

    name: ClassVar[str] = "eigen"

    def __call__(self, activations: tf.Tensor) -> tf.Tensor:
        """Return ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps."""
        return project_on_first_singular_vector(activations)


def project_on_first_singular_vector(activations: tf.Tensor) -> tf.Tensor:
    """Return ``A v₁`` as maps ``(B, h, w)``, with the sign that :class:`Eigen` describes."""
    dynamic = tf.shape(activations)
    *space, channels = [known or dynamic[axis + 1] for axis, known in enumerate(activations.shape[1:])]
    matrix = tf.reshape(activations, [-1, functools.reduce(operator.mul, space), channels])
    # Scaled to a largest entry of 1, so that no square under- or overflows.
    largest = tf.reduce_max(tf.abs(matrix), [1, 2], keepdims=True)
    matrix = divide_or_keep(matrix, largest)
    projection = tf.matmul(matrix, _right_singular_vector(matrix))[..., 0]
    projection *= _sign(projection, tf.reduce_mean(matrix, -1)) * largest[..., 0]
    return tf.reshape(projection, [-1, *space])


def _right_singular_vector(matrix: tf.Tensor) -> tf.Tensor:
    """Return the first right singular vector ``(B, C, 1)`` of ``(B, N, C)``, from the smaller Gram matrix."""

    def from_channels() -> tf.Tensor:
        return _dominant_vector(tf.matmul(matrix, matrix, transpose_a=True))

    def from_positions() -> tf.Tensor:
        left = _dominant_vector(tf.matmul(matrix, matrix, transpose_b=True))
        return tf.matmul(matrix, left, transpose_a=True)

    positions, channels = matrix.shape[1:]
    if positions is None or channels is None:
        shape = tf.shape(matrix)
        vector = tf.cond(shape[1] < shape[2], from_positions, from_channels)
    else:
        vector = from_positions() if positions < channels else from_channels()
    return divide_or_keep(vector, safe_sqrt(tf.reduce_sum(tf.square(vector), 1, keepdims=True)))


def _dominant_vector(gram: tf.Tensor) -> tf.Tensor:
    """Return the dominant eigenvector ``(B, n, 1)``, of any length, of ``(B, n, n)`` by repeated squaring."""
    for _ in range(_SQUARINGS):
        gram = divide_or_keep(gram, tf.reduce_max(tf.abs(gram), [1, 2], keepdims=True))
        gram = tf.matmul(gram, gram)
    # The power is now v·vᵀ up to scale: every row is a multiple of v. The longest one is never near zero, where a
    # fixed start (the mean, say) may happen to be orthogonal to v.
    longest = tf.argmax(tf.reduce_sum(tf.square(gram), -1), -1, output_type=tf.int32)
    return tf.gather(gram, longest, batch_dims=1)[..., tf.newaxis]


def _sign(projection: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    """Return ``(B, 1)`` of plus or minus one that makes ``(B, N)`` projections agree with the reference."""
    p = projection - tf.reduce_mean(projection, 1, keepdims=True)
    r = reference - tf.reduce_mean(reference, 1, keepdims=True)
    covariance = tf.reduce_sum(p * r, 1, keepdims=True)
    scale = safe_sqrt(tf.reduce_sum(p * p, 1, keepdims=True)) * safe_sqrt(tf.reduce_sum(r * r, 1, keepdims=True))
    is_clear = tf.abs(covariance) >= _CLEAR_CORRELATION * scale
    # The sign of a constant map must not depend on rounding; the reference is a mean of numbers up to 1.
    high, low = tf.reduce_max(projection, 1, keepdims=True), tf.reduce_min(projection, 1, keepdims=True)
    is_clear = tf.logical_and(is_clear, high - low > CONSTANT * tf.maximum(high, -low))
    spread = tf.reduce_max(reference, 1, keepdims=True) - tf.reduce_min(reference, 1, keepdims=True)
    is_clear = tf.logical_and(is_clear, spread > CONSTANT)
    decider = tf.where(is_clear, covariance, high + low)
    return tf.where(decider < 0.0, -tf.ones_like(decider), tf.ones_like(decider))
