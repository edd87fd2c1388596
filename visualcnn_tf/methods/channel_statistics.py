"""Mean, MeanAbs, Max, L2 and Std: one statistic over the channels at each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import ActivationMethod
from visualcnn_tf.ops.fast.means import channel_mean, spatial_mean
from visualcnn_tf.ops.safe import safe_sqrt


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Mean(ActivationMethod):
    """Show the average response: ``mean_k A_k``. Costs one read of the feature maps: the cheapest method.

    Example:
        >>> import tensorflow as tf
        >>> Mean()(tf.constant([[[[1.0, 3.0]]]])).numpy().tolist()
        [[[2.0]]]
    """

    name: ClassVar[str] = "mean"
    supports_integers: ClassVar[bool] = True

    def __call__(self, activations: tf.Tensor) -> tf.Tensor:
        """Return ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps."""
        return channel_mean(activations)

    def magnitudes(self, activations: tf.Tensor) -> tf.Tensor | None:
        """Return ``mean_k |A_k|`` of one row: channels that a layer normalization has centered cancel in every row."""
        return None if activations.shape[-1] == 1 else channel_mean(tf.abs(_middle(activations)))


def _middle(activations: tf.Tensor) -> tf.Tensor:
    """Return the middle position along the first spatial axis: one block, and a small part of large feature maps."""
    half = (activations.shape[1] or 0) // 2
    return activations[:, half : half + 1] if half else activations


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class MeanAbs(ActivationMethod):
    """Show the average magnitude: ``mean_k |A_k|``, for layers before an activation function. Costs one read.

    Example:
        >>> import tensorflow as tf
        >>> MeanAbs()(tf.constant([[[[-1.0, 3.0]]]])).numpy().tolist()
        [[[2.0]]]
    """

    name: ClassVar[str] = "mean_abs"
    fuses_signed: ClassVar[bool] = False
    supports_integers: ClassVar[bool] = True

    def __call__(self, activations: tf.Tensor) -> tf.Tensor:
        """Return ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps."""
        return channel_mean(tf.abs(activations))


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Max(ActivationMethod):
    """Show the strongest single response: ``max_k A_k``. Costs two reads of the feature maps.

    Example:
        >>> import tensorflow as tf
        >>> Max()(tf.constant([[[[1.0, 3.0]]]])).numpy().tolist()
        [[[3.0]]]
    """

    name: ClassVar[str] = "max"
    supports_integers: ClassVar[bool] = True

    def __call__(self, activations: tf.Tensor) -> tf.Tensor:
        """Return ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps."""
        # A maximum may skip NaN and minus infinity; this term is 0 for images of finite values and NaN for all others.
        mean = channel_mean(spatial_mean(activations))
        return tf.reduce_max(activations, -1) + (mean - mean)


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class L2(ActivationMethod):
    """Show the energy: ``sqrt(mean_k A_k²)``, the root mean square. Costs one read of the feature maps.

    Example:
        >>> import tensorflow as tf
        >>> L2()(tf.constant([[[[1.0, 7.0]]]])).numpy().tolist()
        [[[5.0]]]
    """

    name: ClassVar[str] = "l2"
    fuses_signed: ClassVar[bool] = False
    supports_integers: ClassVar[bool] = True

    def __call__(self, activations: tf.Tensor) -> tf.Tensor:
        """Return ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps."""
        return safe_sqrt(channel_mean(tf.square(activations)))


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Std(ActivationMethod):
    """Show where channels disagree: ``std_k A_k``, of the population. Costs two reads of the feature maps.

    Example:
        >>> import tensorflow as tf
        >>> Std()(tf.constant([[[[1.0, 3.0]]]])).numpy().tolist()
        [[[1.0]]]
    """

    name: ClassVar[str] = "std"
    fuses_signed: ClassVar[bool] = False
    supports_integers: ClassVar[bool] = True

    def __call__(self, activations: tf.Tensor) -> tf.Tensor:
        """Return ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps."""
        centered = activations - channel_mean(activations)[..., tf.newaxis]
        return safe_sqrt(channel_mean(tf.square(centered)))

    def magnitudes(self, activations: tf.Tensor) -> tf.Tensor:
        """Return ``|mean_k A_k|``: channels that are equal deviate from their mean by its rounding."""
        return tf.abs(channel_mean(activations))
