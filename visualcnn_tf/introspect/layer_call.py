"""One call of one layer, as the trace of a model records it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.introspect.elements import Elements
from visualcnn_tf.introspect.tokens.grid import TokenGrid

_SEQUENCE_LAYERS = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)


@dataclass(eq=False)
class LayerCall:
    """One call of one layer during the traced run.

    Attributes:
        path: the layer's path in the model.
        layer: the layer.
        index: which call of this layer it is, from 0.
        tensor: the output, in the scratch graph; None unless it is one dense tensor.
        outputs: all tensors that the call returned, flat.
        untappable_because: why the output can't be tapped, or "".
        is_out_of_reach: whether it runs on one element of many, or in another graph, see ``introspect.out_of_reach``.
        input_tensor: the layer's one input, or None for several inputs and for a call with ``training=True``.
        time_steps: number of time steps, if the call is one of those that a TimeDistributed layer makes.
        time_step: which of them it is made for, from 0.
        calls_a_step: how many calls of the layer are made for each of them.
        data_format: where the channels are in ``tensor``, ``"channels_last"`` or ``"channels_first"``.
        elements: how elements of each example are merged into the batch, once the call is selected; None if they are
            not, see ``introspect.elements``.
        tokens: which of the tokens ``(B, N, C)`` stand for which position, see ``introspect.tokens``; None for maps,
            and for tokens of which that is not known.
    """

    path: str
    layer: keras.Operation
    index: int
    tensor: tf.Tensor = None
    outputs: Sequence[Any] = ()
    untappable_because: str = ""
    is_out_of_reach: bool = False
    input_tensor: tf.Tensor = None
    time_steps: int | None = None
    time_step: int = 0
    calls_a_step: int = 1
    data_format: str = "channels_last"
    elements: Elements | None = None
    tokens: TokenGrid | None = None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape of the output, or () when there is no tensor."""
        return () if self.tensor is None or self.tensor.shape.rank is None else tuple(self.tensor.shape)

    @property
    def returns_sequence(self) -> bool:
        """Whether the layer itself returns one map for each time step, ``(B, T, h, w, C)``."""
        return isinstance(self.layer, _SEQUENCE_LAYERS) and self.layer.return_sequences

    @property
    def spatial_shape(self) -> tuple[int | None, ...]:
        """Spatial shape of the output, ``(h, w)``, or () for an output without spatial axes."""
        if self.tokens is not None:
            return self.tokens.shape
        shape = self.shape[:1] + self.shape[2:] if self.returns_sequence else self.shape
        if not 3 <= len(shape) <= 5 or isinstance(self.layer, keras.layers.TimeDistributed):
            return ()
        return shape[2:] if self.data_format == "channels_first" else shape[1:-1]

    @property
    def is_tappable(self) -> bool:
        """Whether a heatmap can be made of the output."""
        return not self.untappable_because and bool(self.spatial_shape)

    @property
    def is_first_time_step(self) -> bool:
        """Whether the call stands for all those that a TimeDistributed layer makes; True outside of such layers."""
        return self.time_step == 0

    @property
    def indices_of_steps(self) -> tuple[int, ...]:
        """The indices of the same call in each time step, of a call in the first; its own index without steps."""
        return tuple(self.index + step * self.calls_a_step for step in range(self.time_steps or 1))
