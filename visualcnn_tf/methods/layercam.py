"""LayerCAM: positive gradient times activation at each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import GradientMethod


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class LayerCAM(GradientMethod):
    """Show the evidence in fine detail, also at early layers (LayerCAM): ``ReLU Σ_k ReLU(G_k) ⊙ A_k``.

    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE Transactions on
    Image Processing 2021, equations 5 and 6. Costs one backward pass down to the layer.

    Args:
        relu: whether negative values, the evidence against the target, are set to zero, as in the paper.

    Example:
        >>> import tensorflow as tf
        >>> LayerCAM()(tf.constant([[[[1.0], [3.0]]]]), tf.constant([[[[2.0], [0.0]]]])).numpy().tolist()
        [[[2.0, 0.0]]]
    """

    name: ClassVar[str] = "layercam"

    def __call__(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return signed ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps and gradients."""
        return tf.reduce_sum(tf.nn.relu(gradients) * activations, -1)

    def magnitudes(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return ``Σ_k |ReLU(G_k) ⊙ A_k|``."""
        return tf.reduce_sum(tf.abs(tf.nn.relu(gradients) * activations), -1)
