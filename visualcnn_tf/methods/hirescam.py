"""HiResCAM: gradient times activation at each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import GradientMethod


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class HiResCAM(GradientMethod):
    """Show the evidence position by position (HiResCAM): ``ReLU Σ_k G_k ⊙ A_k``.

    Faithful where the head is linear in the feature maps, as with ``Flatten``: Draelos and Carin, "HiResCAM",
    https://arxiv.org/abs/2011.08891, equation 3. Costs one backward pass down to the layer.

    Args:
        relu: whether negative values, the evidence against the target, are set to zero, as in the paper.

    Example:
        >>> import tensorflow as tf
        >>> HiResCAM()(tf.constant([[[[1.0], [3.0]]]]), tf.constant([[[[2.0], [0.0]]]])).numpy().tolist()
        [[[2.0, 0.0]]]
    """

    name: ClassVar[str] = "hirescam"

    def __call__(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return signed ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps and gradients."""
        return tf.reduce_sum(gradients * activations, -1)

    def magnitudes(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return ``Σ_k |G_k ⊙ A_k|``: a layer that is normalized over its channels has terms that cancel."""
        return tf.reduce_sum(tf.abs(gradients * activations), -1)
