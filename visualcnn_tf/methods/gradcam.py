"""GradCAM: each channel weighs as much as the target depends on it (Grad-CAM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import GradientMethod
from visualcnn_tf.methods.weighting import mean_gradients, mean_magnitudes, weighted_channels


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class GradCAM(GradientMethod):
    """Show the evidence for a target (Grad-CAM): ``ReLU Σ_k mean_ij(G_k)·A_k``. Start here, at the last layer.

    Each channel weighs as much as the target depends on it: Selvaraju et al., "Grad-CAM",
    https://arxiv.org/abs/1610.02391, equations 1 and 2. Costs one backward pass down to the layer.

    Args:
        relu: whether negative values, the evidence against the target, are set to zero, as in the paper.

    Example:
        >>> import tensorflow as tf
        >>> GradCAM()(tf.constant([[[[1.0], [3.0]]]]), tf.constant([[[[2.0], [0.0]]]])).numpy().tolist()
        [[[1.0, 3.0]]]
    """

    name: ClassVar[str] = "gradcam"

    def __call__(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return signed ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps and gradients."""
        return weighted_channels(activations, mean_gradients(gradients))

    def magnitudes(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return ``Σ_k mean_ij|G_k|·|A_k|``: gradients cancel in their mean, and channels in their sum."""
        return weighted_channels(tf.abs(activations), mean_magnitudes(gradients))
