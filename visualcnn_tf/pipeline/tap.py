"""A tap: one call of one layer whose feature maps become one heatmap."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize, Shape
from visualcnn_tf.introspect.elements import Elements
from visualcnn_tf.introspect.tokens.describe import describe_sizes
from visualcnn_tf.introspect.tokens.grid import TokenGrid
from visualcnn_tf.introspect.tokens.read import maps_of_tokens, tokens_of_maps
from visualcnn_tf.methods.base import Method
from visualcnn_tf.ops.layout import from_channels_last
from visualcnn_tf.ops.place import Region


@dataclass(frozen=True)
class Tap:
    """What is read from the model, and under which key its heatmap is returned.

    Attributes:
        path: the layer's path in the model, ``"backbone/out_relu"``.
        key: key of the heatmap among the outputs, ``"heatmap_backbone_out_relu"``.
        shape: shape of the feature maps as the layer returns them, None where unknown.
        method: how the feature maps become one map, see :mod:`visualcnn_tf.methods`.
        target_index: which score of the target the method explains, from 0.
        call_index: which call of the layer is read, from 0, all time steps together; more than one for shared layers.
        calls: the same among all calls of the layer: one, or one for each time step.
        time_steps: number of time steps for a layer inside TimeDistributed (its heatmap is ``(B, T, H, W)``), else
            None.
        returns_sequence: whether the layer itself returns one feature map for each time step.
        elements: how views or patches of each example are merged into the batch of the feature maps (the heatmap is
            ``(B, V, H, W)``), else None.
        tokens: which of the tokens ``(B, N, C)`` that the layer returns stand for which position, None for maps.
        tokens_read: the indices of the tokens that the outputs read, for methods of attention.
        data_format: ``"channels_last"`` or ``"channels_first"``, of ``shape``.
        reference_input: index of the model's input that the heatmap is a picture of, which gives ``size="input"`` its
            size; None when there is no such input.
        reference_axes: the axes of that input that the heatmap shows.
        region: the part of that input that the feature maps cover, in a model that crops or pads it; None for all.
        has_open_region: whether that part depends on the size of the input, which the model leaves open.
    """

    path: str
    key: str
    shape: Shape
    method: Method
    target_index: int = 0
    call_index: int = 0
    calls: tuple[int, ...] = (0,)
    time_steps: int | None = None
    returns_sequence: bool = False
    elements: Elements | None = None
    tokens: TokenGrid | None = None
    tokens_read: tuple[int, ...] = ()
    data_format: str = "channels_last"
    reference_input: int | None = None
    reference_axes: tuple[int, ...] = ()
    region: Region | None = None
    has_open_region: bool = False

    def __repr__(self) -> str:
        """Say what is tapped in one line."""
        call = f", call {self.call_index}" if self.call_index else ""
        return f"<Tap {self.key}: {self.method!r} of {self.path!r} {self.sizes}{call}>"

    @property
    def sizes(self) -> str:
        """The sizes of the feature maps in words, ``"7×7×64"``; of tokens also how many belong to no position."""
        return describe_sizes(self.shape, self.tokens)

    @property
    def step_shape(self) -> Shape:
        """Shape of the feature maps of one time step."""
        if self.tokens is not None:
            return (self.shape[0], *self.tokens.shape, self.shape[-1])
        return self.shape[:1] + self.shape[2:] if self.returns_sequence else self.shape

    @property
    def space(self) -> Shape:
        """Spatial size of the feature maps, ``(h, w)``."""
        return self.step_shape[2:] if self.data_format == "channels_first" else self.step_shape[1:-1]

    @property
    def channels(self) -> int | None:
        """Number of channels of the feature maps."""
        return self.step_shape[1 if self.data_format == "channels_first" else -1]

    @property
    def has_steps(self) -> bool:
        """Whether there is one heatmap for each time step, or element, of an example, ``(B, T, H, W)``."""
        return self.time_steps is not None or self.returns_sequence or self.elements is not None

    @property
    def steps(self) -> int | None:
        """The number of time steps, or elements, None where unknown and without any."""
        if self.elements is not None:
            return self.elements.count
        return self.shape[1] if self.returns_sequence else self.time_steps

    @property
    def batch_key(self) -> Hashable:
        """What taps have in common whose folded batches are of one size."""
        if self.elements is not None:
            return self.elements.count or self.key
        return self.reference_input, self.time_steps, self.returns_sequence

    @property
    def spatial_axes(self) -> range:
        """The spatial axes of the feature maps as the layer returns them; that of the tokens."""
        first = 1 + self.returns_sequence + (self.data_format == "channels_first")
        return range(first, first + (1 if self.tokens else len(self.space)))

    def shows_all_axes(self, rank: int) -> bool:
        """Return whether a reference input of this rank has no axes but the batch, those shown, and channels."""
        first = 2 if rank == len(self.space) + 2 and self.data_format == "channels_first" else 1
        fits = rank in (len(self.space) + 1, len(self.space) + 2)
        return fits and not self.has_steps and self.reference_axes == tuple(range(first, first + len(self.space)))

    def reference_shape(self, shape: Shape) -> Shape:
        """Return what the heatmap shows of the reference input, of the shape of that input."""
        return shape if self.shows_all_axes(len(shape)) else (shape[0], *(shape[axis] for axis in self.reference_axes))

    def reference(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor | None:
        """Return the reference input of the model's inputs, without the axes that the heatmap does not show."""
        if self.reference_input is None:
            return None
        image = inputs[self.reference_input]
        rank = image.shape.rank
        if self.shows_all_axes(rank):
            return image
        return image[tuple(slice(None) if axis in (0, *self.reference_axes) else 0 for axis in range(rank))]

    def outputs_of(self, calls: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Return what is tapped of all that the layer returned: one tensor, or one for each time step."""
        return [calls[index] for index in self.calls]

    def fold(self, tensors: Sequence[tf.Tensor], inputs: Sequence[tf.Tensor]) -> tuple[tf.Tensor, AxisSize | None]:
        """Return one tensor of feature maps (or gradients), and the number of time steps or elements, if there are any.

        Time steps are folded into the batch, ``(B·T, h, w, C)``: each is an image of its own, as elements are already.

        Args:
            tensors: what :meth:`outputs_of` returned.
            inputs: the model's inputs, which tell the number of examples.
        """
        if self.elements is not None:
            return self.as_maps(tensors[0]), self.elements.count_in(tensors[0], inputs[0])
        if not self.has_steps:
            return self.as_maps(tensors[0]), None
        stacked = tensors[0] if self.returns_sequence else tf.stack(tensors, 1)
        count = stacked.shape[1] or tf.shape(stacked)[1]
        inner = tf.concat([[-1], tf.shape(stacked)[2:]], 0)
        folded = tf.reshape(stacked, inner)
        return self.as_maps(tf.ensure_shape(folded, [None, *stacked.shape[2:]])), count

    def as_maps(self, tensor: tf.Tensor) -> tf.Tensor:
        """Return what the layer returns, or gradients of it, as maps: of tokens those of positions, on their grid."""
        return tensor if self.tokens is None else maps_of_tokens(tensor, self.tokens)

    def from_maps(self, maps: tf.Tensor, original: tf.Tensor) -> tf.Tensor:
        """Return maps, channels last, as what the layer returns.

        Args:
            maps: the maps.
            original: what the layer returned, one row for each map, from which tokens of no position are taken.
        """
        if self.tokens is None:
            return from_channels_last(maps, self.data_format)
        return tokens_of_maps(maps, original, self.tokens)

    def unfold(self, heatmaps: tf.Tensor, count: AxisSize | None) -> tf.Tensor:
        """Return heatmaps ``(B·T, H, W)`` as ``(B, T, H, W)``; unchanged without time steps and elements."""
        if count is None:
            return heatmaps
        if self.elements is not None:
            return self.elements.by_example(heatmaps, count)
        sizes = [known or tf.shape(heatmaps)[axis] for axis, known in enumerate(heatmaps.shape) if axis]
        return tf.reshape(heatmaps, [-1, count, *sizes])
