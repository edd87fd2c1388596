"""EigenGradCAM: the dominant pattern of gradient times activation (Eigen-Grad-CAM)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import GradientMethod
from visualcnn_tf.methods.eigen import project_on_first_singular_vector


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class EigenGradCAM(GradientMethod):
    """Show the dominant pattern of the evidence (Eigen-Grad-CAM): ``ReLU (G ⊙ A) v₁``.

    One clean pattern, less sure of the class. Eigen-CAM (:class:`visualcnn_tf.methods.Eigen`) is Muhammad and
    Yeasin's, https://arxiv.org/abs/2008.00299; the variant with gradients comes from pytorch-grad-cam. Costs one
    backward pass down to the layer, and Eigen-CAM's Gram matrix.

    Args:
        relu: whether negative values, the evidence against the target, are set to zero, as in the paper.

    Example:
        >>> import tensorflow as tf
        >>> EigenGradCAM()(tf.constant([[[[1.0], [3.0]]]]), tf.constant([[[[2.0], [0.0]]]])).numpy().round(4).tolist()
        [[[2.0, 0.0]]]
    """

    name: ClassVar[str] = "eigengradcam"

    def __call__(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return signed ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps and gradients."""
        return project_on_first_singular_vector(gradients * activations)
