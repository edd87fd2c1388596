"""XGradCAM: Grad-CAM with gradients weighted by activations (XGrad-CAM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import GradientMethod
from visualcnn_tf.methods.weighting import spatial_sum, weighted_channels
from visualcnn_tf.ops.rounding import divide_unless_canceled


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class XGradCAM(GradientMethod):
    """Show the evidence by activation-weighted gradients (XGrad-CAM): ``ReLU Σ_k w_k·A_k``.

    ``w_k = Σ_ij G_k·A_k / Σ_ij A_k``, and 0 for a channel that sums to 0 or, below 1e-5 of the sum of magnitudes, to
    rounding alone: the weights that keep sensitivity and conservation best. Fu et al., "Axiom-based Grad-CAM",
    https://arxiv.org/abs/2008.02312, equation 8. Costs one backward pass down to the layer.

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
        return weighted_channels(activations, _by_sums(spatial_sum(gradients * activations), activations))

    def magnitudes(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return ``Σ_k |A_k|·Σ_ij|G_k·A_k| / |Σ_ij A_k|``."""
        products = spatial_sum(tf.abs(gradients * activations))
        return weighted_channels(tf.abs(activations), tf.abs(_by_sums(products, activations)))


def _by_sums(numerator: tf.Tensor, activations: tf.Tensor) -> tf.Tensor:
    """Divide ``(B, 1, 1, C)`` by the sum of each channel."""
    return divide_unless_canceled(numerator, spatial_sum(activations), spatial_sum(tf.abs(activations)))
