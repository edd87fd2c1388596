"""fuse: from feature maps of any type to one finite float32 map for each image, and zeros where it would show noise.

A map that holds no evidence beyond rounding is all zeros:

- The terms that a method sums cancel: no value is larger than :data:`visualcnn_tf.ops.rounding.CANCELED` times the
  largest sum of their magnitudes (:meth:`visualcnn_tf.methods.base.Method.magnitudes`). That is decided here.
- Its values are equal: they differ by less than :data:`visualcnn_tf.ops.rounding.CONSTANT` times the largest of them.
  Only ``"minmax"`` would stretch such differences, so :func:`visualcnn_tf.ops.normalize.scale_between` decides that.
"""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.methods.base import Method
from visualcnn_tf.ops.normalize import zeros_unless
from visualcnn_tf.ops.rounding import CANCELED


def fuse(method: Method, activations: tf.Tensor, gradients: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Fuse feature maps ``(B, h, w, C)`` of any float type into one map for each image.

    An image whose map is not finite everywhere (NaN or infinite activations) gets an all-zero map, so that no NaN ever
    reaches a user of the heatmap. So does one whose map is rounding alone.

    Args:
        method: one that does not need a replay.
        activations: the feature maps.
        gradients: of a score with respect to them, for methods that need them.

    Returns:
        Maps ``(B, h, w)`` in float32, and whether each was finite, ``(B, 1, 1)`` bool.
    """
    given = [tf.cast(tensor, tf.float32) for tensor in (activations, gradients) if tensor is not None]
    maps, magnitudes = method(*given), method.magnitudes(*given)  # type: ignore[operator, attr-defined]
    space = list(range(1, maps.shape.rank))
    # x - x is 0 for finite numbers and NaN for all others: true in graphs, under XLA and in TensorFlow Lite, where
    # tf.debugging.check_numerics does nothing. XNNPACK runs their mean, but not a comparison of each.
    finite = tf.reduce_mean(maps - maps, space, keepdims=True) == 0.0
    is_shown = finite if magnitudes is None else finite & _is_evidence(maps, magnitudes, method.fuses_signed)
    maps = zeros_unless(is_shown, maps)
    return (tf.nn.relu(maps) if method.keeps_positive else maps), finite


def _is_evidence(maps: tf.Tensor, magnitudes: tf.Tensor, is_signed: bool) -> tf.Tensor:
    """Return, ``(B, 1, 1)``, whether a map is more than what rounding leaves of terms of these magnitudes."""
    space = list(range(1, maps.shape.rank))
    largest = tf.reduce_max(tf.abs(maps) if is_signed else maps, space, keepdims=True)
    return largest > CANCELED * tf.reduce_max(magnitudes, space, keepdims=True)
