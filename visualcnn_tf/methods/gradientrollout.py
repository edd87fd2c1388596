"""GradientRollout: attention that speaks for the target, from the tokens of a layer to what the head reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import keras
import tensorflow as tf

from visualcnn_tf.methods.base import AttentionMethod
from visualcnn_tf.methods.rollout import one_head, taken_from


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class GradientRollout(AttentionMethod):
    """Show the evidence for a target in a transformer: ``R ← R + mean_heads ReLU(∇A_l ⊙ A_l)·R``, from ``R = I``.

    ``A_l`` are the attention weights of block l, ``∇A_l`` the gradient of the target's score with respect to them. The
    map is the row of ``R - I`` of what the head reads, the class token or the mean over the tokens: Chefer, Gur and
    Wolf, "Generic Attention-model Explainability", https://arxiv.org/abs/2103.15679, equations 5 and 6, for
    self-attention. Costs one backward pass down to the layer.

    Example:
        >>> import tensorflow as tf
        >>> attention, gradients = [tf.constant([[[[0.5, 0.5], [0.0, 1.0]]]])], [tf.constant([[[[-1.0, 2.0], [0, 0]]]])]
        >>> GradientRollout()(attention, tf.constant([[[1.0], [0.0]]]), gradients).numpy().tolist()
        [[0.0, 1.0]]
    """

    name: ClassVar[str] = "gradientrollout"
    needs_gradients: ClassVar[bool] = True

    def __call__(self, attention: Sequence[tf.Tensor], read: tf.Tensor, *gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the relevance ``(B, N)`` of each token for the target."""
        shares, relevance = read, None
        for weights, gradient in zip(reversed(attention), reversed(gradients[0]), strict=True):
            taken = taken_from(one_head(tf.nn.relu(gradient * weights), "mean"), shares)
            # Without the shares that were read: R - I. With it they would drown what differs between tokens.
            relevance = taken if relevance is None else relevance + taken
            shares = read + relevance
        return tf.squeeze(relevance, -1)
