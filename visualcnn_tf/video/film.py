"""Frames with heatmaps over them, on one color scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf.introspect.find_inputs import image_inputs
from visualcnn_tf.ops.normalize import normalize_maps
from visualcnn_tf.ops.resize import resize
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP, color_table
from visualcnn_tf.render.overlay import check_alpha, overlay
from visualcnn_tf.video.frames import Frame
from visualcnn_tf.viz.sizes import legible_size

Floats: TypeAlias = NDArray[np.float32]

_BATCH = 8
_SMALLEST = 224  # pixels: smaller pictures are enlarged by a whole factor
_LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)  # ITU-R BT.601, as in JPEG


@dataclass(frozen=True)
class Look:
    """How heatmaps are laid over frames; the arguments are those of ``overlay``."""

    alpha: float = 0.5
    colormap: str = DEFAULT_COLORMAP
    weighted: bool = False

    def __post_init__(self) -> None:
        """Raise for an option that is not allowed."""
        check_alpha(self.alpha)
        color_table(self.colormap)


DEFAULT_LOOK = Look()


class Film:
    """Frames and their heatmaps.

    Args:
        explained: A model with one raw heatmap, whose pixels are known.
        first: The shape of the first frame, ``(H, W, 3)``. All pictures have its size, enlarged if it is small.
    """

    def __init__(self, explained: ExplainedModel, first: Sequence[int]) -> None:
        self.explained = explained
        self._pixels = explained.pixels or Pixels()
        self._size = legible_size(first, _SMALLEST)
        taken = image_inputs(explained.model).specs[0]
        self._dtype = taken.dtype
        _, height, width, self._channels = taken.shape
        open_size = self._pixels.size or first
        self._input_size = (height or open_size[0], width or open_size[1])

    def maps(self, frames: Iterable[Frame]) -> Iterator[tuple[list[Frame], Floats]]:
        """Yield batches of frames with their raw heatmaps ``(B, h, w)``."""
        remaining = iter(frames)
        while batch := list(islice(remaining, _BATCH)):
            inputs = self._pixels.scale(np.stack([self._input(frame) for frame in batch]), self._dtype)
            yield batch, self.explained(inputs)[self.explained.taps[0].key].numpy()

    def pictures(self, frames: Iterable[Frame], scale: tuple[float, float], look: Look) -> Iterator[Frame]:
        """Yield the frames with their heatmaps over them, ``(H, W, 3)`` uint8."""
        for batch, maps in self.maps(frames):
            images = tf.stack([_resized(frame, self._size) for frame in batch])
            over_frames, seen = self._over_frames(maps, batch)
            heatmaps = normalize_maps(over_frames, ("range", *scale))
            pictures = overlay(
                images, heatmaps, look.alpha, look.colormap, weighted=look.weighted, value_range=(0, 255)
            )
            yield from np.where(seen, pictures, tf.cast(tf.round(images), tf.uint8))

    def _over_frames(self, maps: Floats, frames: Sequence[Frame]) -> tuple[tf.Tensor, NDArray[np.bool_]]:
        """Return maps in the size of the pictures, and where the model saw the frames ``(B, H, W, 1)``."""
        if self._pixels.fit == "squeeze":
            return resize(tf.constant(maps), self._size), np.ones((len(maps), 1, 1, 1), np.bool_)
        inputs = resize(tf.constant(maps), self._input_size).numpy()
        undone = [self._pixels.undo_fit(one, frame.shape[:2]) for one, frame in zip(inputs, frames, strict=True)]
        over_frames = np.stack([_resized(one[..., np.newaxis], self._size) for one in undone])
        return tf.constant(np.nan_to_num(over_frames[..., 0])), ~np.isnan(over_frames)

    def _input(self, frame: Frame) -> Floats:
        """Return a frame in the model's size and channels, in 0 … 255."""
        image = np.asarray(self._pixels.fitted(frame, self._input_size))
        return image if self._channels != 1 else np.asarray(image @ _LUMA)


def _resized(frame: NDArray[Any], size: tuple[int, int]) -> tf.Tensor:
    """Resize to float32: pixels are repeated for a multiple of the size, else anti-aliased bilinear."""
    whole = size[0] % frame.shape[0] == 0 and size[1] % frame.shape[1] == 0
    resized = tf.image.resize(frame, size, "nearest" if whole else "bilinear", antialias=not whole)
    return tf.cast(resized, tf.float32)
