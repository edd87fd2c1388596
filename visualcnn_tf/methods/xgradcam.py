"""XGradCAM: Grad-CAM with gradients weighted by activations (XGrad-CAM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import GradientMethod
from visualcnn_tf.methods.weighting import spatial_axes, weighted_channels
from visualcnn_tf.ops.safe import divide_or_zero

# A sum this much smaller than the sum of magnitudes is rounding alone.
_CANCELED = 1e-6


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class XGradCAM(GradientMethod):
    """Show the evidence by activation-weighted gradients (XGrad-CAM): ``ReLU Σ_k w_k·A_k``.

    ``w_k = Σ_ij G_k·A_k / Σ_ij A_k``, and 0 for a channel that sums to 0: the weights that keep sensitivity and
    conservation best. Fu et al., "Axiom-based Grad-CAM", https://arxiv.org/abs/2008.02312, equation 8. Costs one
    backward pass down to the layer.

    Args:
        relu: whether negative values, the evidence against the target, are set to zero, as in the paper.

    Example:
        >>> import tensorflow as tf
        >>> XGradCAM()(tf.constant([[[[1.0], [3.0]]]]), tf.constant([[[[2.0], [0.0]]]])).numpy().tolist()
        [[[0.5, 1.5]]]
    """

    name: ClassVar[str] = "xgradcam"

    def __call__(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return signed ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps and gradients."""
        axes = spatial_axes(activations)
        products = tf.reduce_sum(gradients * activations, axes, keepdims=True)
        sums = tf.reduce_sum(activations, axes, keepdims=True)
        # What is left of numbers that cancel out is rounding, and no weight.
        usable = tf.abs(sums) > _CANCELED * tf.reduce_sum(tf.abs(activations), axes, keepdims=True)
        weights = divide_or_zero(products, tf.where(usable, sums, tf.zeros_like(sums)))
        return weighted_channels(activations, weights)
