"""AttentionRollout: where the tokens that the head reads come from, by attention alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf.methods.base import AttentionMethod
from visualcnn_tf.methods.rollout import HEADS, one_head, taken_from


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class AttentionRollout(AttentionMethod):
    """Show what a transformer attends to (attention rollout): ``Π_l (½·mean_heads A_l + ½·I)``.

    ``A_l`` are the attention weights of block l; the identity stands for the residual connection; rows are normalized
    to a sum of 1. The map is the row of what the head reads, the class token or the mean over the tokens, and the same
    for every class: Abnar and Zuidema, "Quantifying Attention Flow in Transformers",
    https://arxiv.org/abs/2005.00928, equation 1. Costs one read of the attention weights.

    Args:
        residual: the weight of the identity, from 0 to below 1; the attention weights have the rest.
        heads: how the heads become one: ``"mean"`` as in the paper, ``"max"`` or ``"min"``.

    Example:
        >>> import tensorflow as tf
        >>> attention = [tf.constant([[[[0.5, 0.5], [0.0, 1.0]]]])]
        >>> AttentionRollout()(attention, tf.constant([[[1.0], [0.0]]])).numpy().tolist()
        [[0.75, 0.25]]
    """

    name: ClassVar[str] = "attentionrollout"

    residual: float = 0.5
    heads: str = "mean"

    def __post_init__(self) -> None:
        if not _is_part(self.residual):
            raise bad_value("residual", "a number from 0 to below 1", self.residual)
        check_choice("heads", self.heads, HEADS)

    def __call__(self, attention: Sequence[tf.Tensor], read: tf.Tensor, *gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the relevance ``(B, N)`` of each token for what the head reads."""
        shares = read
        for weights in reversed(attention):
            # Masks and other reductions than the mean leave rows whose sum is not 1.
            fused = (1.0 - self.residual) * one_head(weights, self.heads)
            shares /= self.residual + tf.reduce_sum(fused, -1, keepdims=True)
            shares = self.residual * shares + taken_from(fused, shares)
        return tf.squeeze(shares, -1)


def _is_part(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1
