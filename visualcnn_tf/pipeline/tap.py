"""A tap: one call of one layer whose feature maps become one heatmap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow as tf

from visualcnn_tf._utils.serialization import callable_from_config, callable_to_config
from visualcnn_tf.methods import Fusion


@dataclass(frozen=True)
class Tap:
    """What is read from the model, and under which name its heatmap is returned.

    Attributes:
        path: the layer's path in the model, ``"backbone/out_relu"``.
        key: name of the heatmap among the outputs, ``"heatmap_backbone_out_relu"``.
        shape: shape of the feature maps as the layer returns them, None where unknown.
        method: the fusion, a name or a callable.
        column: which of the explained classes a class-discriminative method explains, from 0.
        index: which call of the layer is read, from 0; more than one for shared layers.
        frames: number of time steps for a layer inside TimeDistributed (its heatmap is ``(B, T, H, W)``), else None.
        sequence: whether the layer itself returns one map for each time step.
        data_format: where the channels stand in ``shape``.
        reference: which of the model's inputs gives ``size="input"`` its size, or None when there is no such input.
    """

    path: str
    key: str
    shape: tuple[int | None, ...]
    method: str | Fusion
    index: int = 0
    frames: int | None = None
    sequence: bool = False
    data_format: str = "channels_last"
    reference: int | None = None
    column: int = 0

    @property
    def frame_shape(self) -> tuple[int | None, ...]:
        """Shape of the feature maps of one time step."""
        return self.shape[:1] + self.shape[2:] if self.sequence else self.shape

    @property
    def has_steps(self) -> bool:
        """Whether there is one heatmap for each time step, ``(B, T, H, W)``."""
        return self.frames is not None or self.sequence

    def like_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Shape of what gives ``size="input"`` its size, from the shape of the reference input."""
        return shape[:1] + shape[2:] if self.has_steps else shape

    def like(self, images: Sequence[Any]) -> Any:
        """What gives ``size="input"`` its size: the reference among the inputs, or its first time step."""
        if self.reference is None:
            return None
        image = images[self.reference]
        return image[:, 0] if self.has_steps else image

    def calls(self, outputs: Sequence[Any]) -> list[Any]:
        """What is tapped, among all the outputs of the layer: one tensor, or one for each time step."""
        if self.frames is not None:
            return list(outputs[self.index * self.frames : (self.index + 1) * self.frames])
        return [outputs[self.index]]

    def fold(self, calls: Sequence[Any]) -> tuple[Any, Any]:
        """One tensor of feature maps (or gradients), and the number of time steps, if there are any.

        Time steps are folded into the batch, ``(B·T, h, w, C)``: each is an image of its own.
        """
        if not self.has_steps:
            return calls[0], None
        stacked = calls[0] if self.sequence else tf.stack(calls, 1)
        count = stacked.shape[1] or tf.shape(stacked)[1]
        inner = tf.concat([[-1], tf.shape(stacked)[2:]], 0)
        folded = tf.reshape(stacked, inner)
        return tf.ensure_shape(folded, [None, *stacked.shape[2:]]), count

    def unfold(self, heatmaps: Any, count: Any) -> Any:
        """Heatmaps ``(B·T, H, W)`` as ``(B, T, H, W)``; unchanged when there are no time steps."""
        if count is None:
            return heatmaps
        sizes = [known or tf.shape(heatmaps)[axis] for axis, known in enumerate(heatmaps.shape) if axis]
        return tf.reshape(heatmaps, [-1, count, *sizes])

    def get_config(self) -> dict[str, Any]:
        """All attributes, serializable."""
        return {**asdict(self), "method": callable_to_config(self.method)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Tap:
        """The inverse of :meth:`get_config`."""
        method = callable_from_config(config["method"])
        return cls(**{**config, "shape": tuple(config["shape"]), "method": method})
