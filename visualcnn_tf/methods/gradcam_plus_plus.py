"""GradCAMPlusPlus: Grad-CAM for several objects of one class (Grad-CAM++)."""

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
class GradCAMPlusPlus(GradientMethod):
    """Show the evidence for several objects of one class (Grad-CAM++): ``ReLU Σ_k w_k·A_k``.

    ``w_k = Σ_ij α·ReLU(G_k)`` with ``α = G² / (2G² + G³·Σ_ij A_k)``: Chattopadhay et al., "Grad-CAM++",
    https://arxiv.org/abs/1710.11063, equations 13 and 19, where the derivatives of ``exp(logit)`` reduce to powers of
    the logit's gradient. ``α`` is 0 where its denominator is 0, or rounding alone: less than 1e-5 of the sum of the
    magnitudes of its terms. (tf-keras-vis divides ``α`` by its sum over the image, which the paper does not.) Costs one
    backward pass down to the layer.

    Args:
        relu: whether negative values, the evidence against the target, are set to zero, as in the paper.

    Example:
        >>> import tensorflow as tf
        >>> GradCAMPlusPlus()(tf.constant([[[[1.0], [3.0]]]]), tf.constant([[[[2.0], [0.0]]]])).numpy().tolist()
        [[[0.20000000298023224, 0.6000000238418579]]]
    """

    name: ClassVar[str] = "gradcam++"

    def __call__(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return signed ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps and gradients."""
        return weighted_channels(activations, spatial_sum(_shares(activations, gradients)))

    def magnitudes(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return ``Σ_k Σ_ij|α·ReLU(G_k)|·|A_k|``."""
        return weighted_channels(tf.abs(activations), spatial_sum(tf.abs(_shares(activations, gradients))))


def _shares(activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Return ``α·ReLU(G)``, the share of each position in the weight of its channel."""
    # α without G² above and below the line: the squares and cubes of small gradients are 0 in float32.
    denominator = 2.0 + gradients * spatial_sum(activations)
    magnitude = 2.0 + tf.abs(gradients) * spatial_sum(tf.abs(activations))
    return divide_unless_canceled(tf.nn.relu(gradients), denominator, magnitude)
