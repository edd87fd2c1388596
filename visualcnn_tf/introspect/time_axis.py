"""Whether feature maps have a time axis of the model's input behind them that they no longer have themselves."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.introspect.layer_kinds import CONV_LSTM_LAYERS
from visualcnn_tf.introspect.trace import LayerCall, Trace
from visualcnn_tf.introspect.upstream import is_upstream


def aggregates_time(call: LayerCall, clip: tf.Tensor, trace: Trace) -> bool:
    """Return whether maps ``(B, h, w, C)`` stand for all time steps of a clip ``(B, T, H, W, C)`` together.

    Such are the maps of the last layer of a stack of ConvLSTMs, or averages over time steps. They are a picture of
    each frame of the clip.

    Args:
        call: a call with feature maps.
        clip: an input of the model, in its trace.
        trace: the trace that both are from.
    """
    has_steps = call.time_steps is not None or call.returns_sequence
    if has_steps or len(clip.shape) != len(call.shape) + 1 or not is_upstream(clip, call.tensor):
        return False
    # Of an image, rows (B, N, C) are tokens; of a clip of signals only a ConvLSTM1D makes such maps.
    return len(call.spatial_shape) > 1 or _sees_conv_lstm(call, trace)


def _sees_conv_lstm(call: LayerCall, trace: Trace) -> bool:
    return any(
        isinstance(other.layer, CONV_LSTM_LAYERS)
        and other.tensor is not None
        and is_upstream(other.tensor, call.tensor)
        for other in trace.calls
    )
