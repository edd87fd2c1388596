"""The position of the channel axis."""

from __future__ import annotations

import tensorflow as tf


def to_channels_last(tensor: tf.Tensor, data_format: str) -> tf.Tensor:
    """Return feature maps with their channels last."""
    return tensor if data_format == "channels_last" else tf.transpose(tensor, [0, *range(2, tensor.shape.rank), 1])


def from_channels_last(tensor: tf.Tensor, data_format: str) -> tf.Tensor:
    """Return feature maps, given with channels last, in a data format: the inverse of :func:`to_channels_last`."""
    rank = tensor.shape.rank
    return tensor if data_format == "channels_last" else tf.transpose(tensor, [0, rank - 1, *range(1, rank - 1)])
