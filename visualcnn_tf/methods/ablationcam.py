"""AblationCAM: each channel weighs as much as the score loses without it (Ablation-CAM)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import ChannelReplayMethod, Cost
from visualcnn_tf.methods.channels import channels_first, most_varied, take_channels, weighted_maps
from visualcnn_tf.methods.replay_protocol import Replay
from visualcnn_tf.ops.safe import divide_or_keep


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class AblationCAM(ChannelReplayMethod):
    """Show the evidence without gradients (Ablation-CAM): ``ReLU Σ_k A_k·(y - y_k) / |y|``, a second opinion.

    ``y_k`` is the target's score without channel ``k``: Desai and Ramaswamy, "Ablation-CAM", WACV 2020, equations 3
    and 4, with ``|y|`` for ``y``, so that a negative logit does not turn the map around. Costs one evaluation of the
    head for each channel.

    Args:
        max_channels: only so many channels are tried, those that vary most over the image; None for all of them.
        relu: whether negative values, the evidence against the target, are set to zero, as in the paper.

    Example:
        >>> AblationCAM()
        AblationCAM(max_channels=None, relu=True)
    """

    name: ClassVar[str] = "ablationcam"

    def cost(self, space: Sequence[int], channels: int) -> Cost:
        """Return one evaluation of the head for each channel that is tried."""
        return Cost(self.tried(channels), "head")

    def __call__(self, activations: tf.Tensor, replay: Replay) -> tf.Tensor:
        """Return signed ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps."""
        maps = channels_first(activations)
        tried = most_varied(maps, self.max_channels)
        count, channels = self.tried(maps.shape[1]), tf.range(maps.shape[1])
        ones = [1] * (maps.shape.rank - 2)
        means = tf.reduce_mean(activations, list(range(1, maps.shape.rank - 1)))[:, tf.newaxis]

        def kept(numbers: tf.Tensor) -> tf.Tensor:
            """Return 0 for the channel that is left out and 1 for all others, ``(B or 1, n, C)``."""
            left_out = numbers[tf.newaxis] if tried is None else tf.gather(tried, numbers, axis=1)
            return tf.cast(tf.not_equal(left_out[..., tf.newaxis], channels), activations.dtype)

        def without(numbers: tf.Tensor) -> tf.Tensor:
            mask = tf.reshape(kept(numbers), [-1, numbers.shape[0], *ones, maps.shape[1]])
            return activations[:, tf.newaxis] * mask

        score = replay.on_maps(lambda numbers: activations[:, tf.newaxis], lambda numbers: means, 1)
        drops = score - replay.on_maps(without, lambda numbers: means * kept(numbers), count)
        return weighted_maps(take_channels(maps, tried), divide_or_keep(drops, tf.abs(score)))
