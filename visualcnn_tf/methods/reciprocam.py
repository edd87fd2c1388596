"""ReciproCAM: the score with one position of the feature maps left (Recipro-CAM)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf.methods.base import Cost, ReplayMethod
from visualcnn_tf.methods.replay_protocol import Replay


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class ReciproCAM(ReplayMethod):
    """Show what each position says alone (Recipro-CAM): the target's score with one position of the maps left.

    The position and its neighbors are weighted by a 3×3 Gaussian, ``[1 2 1]ᵀ[1 2 1] / 16``: Byun and Lee,
    "Recipro-CAM", https://arxiv.org/abs/2209.14074, equations 2 to 4. Of tokens, those that stand for no position, such
    as a class token, stay as they are: Byun and Lee, "ViT-ReciproCAM", https://arxiv.org/abs/2310.02588. For layers
    without gradients. Costs one evaluation of the head for each position; before global average pooling next to
    nothing.
    """

    name: ClassVar[str] = "reciprocam"

    def cost(self, space: Sequence[int], channels: int) -> Cost:
        """Return one evaluation of the head for each position."""
        return Cost(math.prod(space), "head")

    def __call__(self, activations: tf.Tensor, replay: Replay) -> tf.Tensor:
        """Return ``(B, h, w)`` float32 maps, the scores, of ``(B, h, w, C)`` float32 feature maps."""
        space, channels = [int(n) for n in activations.shape[1:-1]], activations.shape[-1]
        masks, positions = tf.constant(_gaussian_masks(*space)), math.prod(space)

        def change(numbers: tf.Tensor) -> tf.Tensor:
            return activations[:, tf.newaxis] * tf.gather(masks, numbers)

        def mean(numbers: tf.Tensor) -> tf.Tensor:
            weights = tf.reshape(tf.gather(masks, numbers) / positions, [1, -1, positions])
            return tf.matmul(weights, tf.reshape(activations, [-1, positions, channels]))

        return tf.reshape(replay.on_maps(change, mean, masks.shape[0]), [-1, *space])


@functools.lru_cache(maxsize=32)
def _gaussian_masks(*space: int) -> np.ndarray:
    """Return ``(positions, h, w, 1)`` float32: the Gaussian around each position, cut off at the border."""
    masks: np.ndarray = np.ones((1, 1))
    for n in space:
        masks = np.kron(masks, (np.eye(n, k=-1) + 2 * np.eye(n) + np.eye(n, k=1)) / 4)
    masks = masks.reshape(-1, *space, 1).astype(np.float32)
    masks.setflags(write=False)
    return masks
