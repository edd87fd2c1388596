"""Deviation: where channels leave their usual level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import ActivationMethod
from visualcnn_tf.ops.fast.means import channel_mean, spatial_mean


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Deviation(ActivationMethod):
    """Show where channels leave their usual level: ``mean_k |A_k - mean_ij A_k|``. The default method.

    The general picture of a layer; the method of the earlier package ``visualcnn``. Costs two reads of the feature
    maps.

    Example:
        >>> import tensorflow as tf
        >>> Deviation()(tf.constant([[[[0.0], [2.0]]]])).numpy().tolist()
        [[[1.0, 1.0]]]
    """

    name: ClassVar[str] = "deviation"
    fuses_signed: ClassVar[bool] = False
    supports_integers: ClassVar[bool] = True

    def __call__(self, activations: tf.Tensor) -> tf.Tensor:
        """Return ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps."""
        return channel_mean(tf.abs(activations - spatial_mean(activations)))

    def magnitudes(self, activations: tf.Tensor) -> tf.Tensor:
        """Return ``mean_k |mean_ij A_k|``: channels that are constant deviate by their rounding."""
        return channel_mean(tf.abs(spatial_mean(activations)))
