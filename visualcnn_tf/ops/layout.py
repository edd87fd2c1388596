"""Where the channels stand."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def to_channels_last(tensor: Any, data_format: str) -> Any:
    """A tensor of feature maps with its channels last."""
    return tensor if data_format == "channels_last" else tf.transpose(tensor, [0, *range(2, tensor.shape.rank), 1])


def from_channels_last(tensor: Any, data_format: str) -> Any:
    """The inverse of :func:`to_channels_last`."""
    rank = tensor.shape.rank
    return tensor if data_format == "channels_last" else tf.transpose(tensor, [0, rank - 1, *range(1, rank - 1)])
