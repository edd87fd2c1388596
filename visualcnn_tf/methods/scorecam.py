"""ScoreCAM: each channel weighs as much as the image masked by it scores (Score-CAM)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import ChannelReplayMethod, Cost
from visualcnn_tf.methods.channels import channels_first, most_varied, take_channels, weighted_maps
from visualcnn_tf.methods.replay_protocol import Replay


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class ScoreCAM(ChannelReplayMethod):
    """Show the evidence without gradients (Score-CAM): ``ReLU Σ_k w_k·A_k``, for offline comparisons.

    ``w = softmax_k`` of the target's score for the image masked by ``A_k``, which is scaled to [0, 1]: Wang et al.,
    "Score-CAM", https://arxiv.org/abs/1910.01279, algorithm 1. Costs one evaluation of the whole model for each
    channel.

    Args:
        max_channels: only so many channels are tried, those that vary most over the image (Faster Score-CAM); None
            for all of them.
        relu: whether negative values, the evidence against the target, are set to zero, as in the paper.

    Example:
        >>> ScoreCAM(max_channels=32)
        ScoreCAM(max_channels=32, relu=True)
    """

    name: ClassVar[str] = "scorecam"
    masks_input: ClassVar[bool] = True

    def cost(self, space: Sequence[int], channels: int) -> Cost:
        """Return one evaluation of the model for each channel that is tried."""
        return Cost(self.tried(channels), "model")

    def __call__(self, activations: tf.Tensor, replay: Replay) -> tf.Tensor:
        """Return signed ``(B, h, w)`` float32 maps of ``(B, h, w, C)`` float32 feature maps."""
        maps = channels_first(activations)
        maps = take_channels(maps, most_varied(maps, self.max_channels))
        scores = replay.on_images(lambda numbers: tf.gather(maps, numbers, axis=1), maps.shape[1])
        return weighted_maps(maps, tf.nn.softmax(scores))
