"""GradCAMPlusPlus: Grad-CAM for several objects of one class (Grad-CAM++)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import GradientMethod
from visualcnn_tf.methods.weighting import spatial_axes, weighted_channels
from visualcnn_tf.ops.safe import divide_or_zero


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class GradCAMPlusPlus(GradientMethod):
    """Show the evidence for several objects of one class (Grad-CAM++): ``ReLU Σ_k w_k·A_k``.

    ``w_k = Σ_ij α·ReLU(G_k)`` with ``α = G² / (2G² + G³·Σ_ij A_k)``, and 0 where the denominator is 0: Chattopadhay
    et al., "Grad-CAM++", https://arxiv.org/abs/1710.11063, equations 13 and 19, where the derivatives of
    ``exp(logit)`` reduce to powers of the logit's gradient. (tf-keras-vis divides ``α`` by its sum over the image,
    which the paper does not.) Costs one backward pass down to the layer.

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
        # α without G² above and below the line: the squares and cubes of small gradients are 0 in float32.
        denominator = 2.0 + gradients * tf.reduce_sum(activations, spatial_axes(activations), keepdims=True)
        shares = divide_or_zero(tf.nn.relu(gradients), denominator)
        return weighted_channels(activations, tf.reduce_sum(shares, spatial_axes(gradients), keepdims=True))
