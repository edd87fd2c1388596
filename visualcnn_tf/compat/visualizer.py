"""The Visualizer of the original visualcnn: the same calls, on top of :func:`visualcnn_tf.attach`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from visualcnn_tf._attach import attach
from visualcnn_tf._utils.checks import as_path
from visualcnn_tf._utils.types import Shape
from visualcnn_tf.compat.file_names import file_stems
from visualcnn_tf.compat.images import as_batch, as_rgb, check_width
from visualcnn_tf.compat.shown_layers import shown_layers
from visualcnn_tf.errors import (
    ImageTooSmallError,
    SmallConvolutionWarning,
    VisualCNNError,
)
from visualcnn_tf.io.atomic import write_file
from visualcnn_tf.ops.normalize import normalize_maps
from visualcnn_tf.ops.place import place
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.pixels.registry import PixelsLike
from visualcnn_tf.render.blur import blur_levels, pick_blur
from visualcnn_tf.render.overlay import colorize
from visualcnn_tf.viz.short_paths import short_paths
from visualcnn_tf.viz.sizes import scaled
from visualcnn_tf.viz.windows import Tile, show

Array = npt.NDArray[Any]

SMALL = 14
"""Pixels: a layer of less height or width is small."""

_NAME = 40  # letters of a layer's name above a picture; longer ones are shortened
_COLORMAP = "heat"  # the colors of the original, not the default of this package


class Visualizer:
    """One heatmap for each Conv2D and MaxPooling2D layer of a model, as arrays, PNG files or windows.

    A heatmap is the mean over channels of ``|A_k - mean over space of A_k|`` (the method ``"deviation"``),
    enlarged bilinearly to the image's size, with minimum 0 and maximum 1. Layers inside nested models are included.
    The model is not changed.

    Pictures have the colors of the original, the color map ``"heat"``, unless another is given.

    An image may have the shape (H, W), (H, W, C), (1, H, W) or (B, H, W, C); for a model that takes (B, H, W),
    without channels, also that. A single one gives arrays (H, W), a batch of several gives arrays (B, H, W).

    Args:
        model: A Keras model.
        small_layers: Whether layers under 14×14 are shown, too. Otherwise they are left out, with a
            :class:`~visualcnn_tf.errors.SmallConvolutionWarning`.
        pixels: What the model takes where a photo has pixels of 0 to 255, as in ``attach``: :meth:`show_blurmap` shows
            images as they were. By default it is found in the model.

    Raises:
        IncompatibleModelError: Not a Keras model, or one without any Conv2D or MaxPooling2D layer.

    Example:
        >>> model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(4, 3)])
        >>> heatmaps = Visualizer(model, small_layers=True).heatmap(np.eye(28))
        >>> [heatmap.shape for heatmap in heatmaps]
        [(28, 28)]
    """

    def __init__(self, model: keras.Model, small_layers: bool = False, pixels: PixelsLike | None = None) -> None:
        self.small_layers = small_layers
        # The layers' own sizes decide which ones are small, so the maps come raw and are enlarged afterwards.
        self._explained = attach(
            model, layers=shown_layers(model), size=None, normalize=None, pixels=pixels, check_numerics=True
        )
        self._heatmaps: dict[str, Array] | None = None
        self._blurmaps: dict[str, Array] | None = None

    def heatmap(self, input: npt.ArrayLike) -> list[Array]:
        """Return the heatmaps of one image or a batch, one for each layer, in the model's order.

        Args:
            input: Shape (H, W), (H, W, C), (1, H, W) or (B, H, W, C), scaled as the model expects it.

        Returns:
            float32 arrays in [0, 1], shape (H, W), or (B, H, W) for a batch of several.

        Raises:
            InvalidTypeError: Not an array of numbers.
            Image1DError: Less than two dimensions.
            ImageTooSmallError: Under 14×14 with ``small_layers=False``.
            InputShapeError: Not what the model takes.
            NanLayerOutputError: A layer returned NaN or infinity.
        """
        maps = self._maps(self._as_batch(input))
        self._heatmaps = {title: heatmaps.numpy() for title, heatmaps in maps.items()}
        return self.heat_map

    def blurmap(self, input: npt.ArrayLike) -> list[Array]:
        """Return the image once for each layer, sharp where its heatmap is high and blurred where it is low.

        Args:
            input: As for :meth:`heatmap`; raises the same errors.

        Returns:
            Arrays of the image's dtype and shape, without a channel axis of 1 and a batch axis of 1. See
            :func:`visualcnn_tf.render.blur.blur_by_importance` for the rule.
        """
        images = self._as_batch(input)
        maps = self._maps(images)
        levels = blur_levels(tf.constant(images))
        self._blurmaps = {title: pick_blur(levels, heatmaps, images.dtype).numpy() for title, heatmaps in maps.items()}
        return self.blur_map

    @property
    def heat_map(self) -> list[Array]:
        """The heatmaps that :meth:`heatmap` returned last."""
        return [_squeezed(heatmaps) for heatmaps in (self._heatmaps or {}).values()]

    @property
    def blur_map(self) -> list[Array]:
        """The images that :meth:`blurmap` returned last."""
        blurmaps = (self._blurmaps or {}).values()
        return [_squeezed(images[..., 0] if images.shape[-1] == 1 else images) for images in blurmaps]

    def save_heatmaps(
        self,
        directory: str | os.PathLike[str] = ".",
        names: Sequence[str] | None = None,
        colormap: str = _COLORMAP,
        resize: int | None = None,
    ) -> list[Path]:
        """Write the last heatmaps as PNG files: Heatmap1.png, Heatmap2.png, … in the layers' order.

        Args:
            directory: Created if it does not exist. Files of these names in it are replaced.
            names: File names instead, one for each layer. A batch of several appends _1, _2, … to each.
            colormap: A name in :data:`visualcnn_tf.render.colormaps.COLORMAPS`.
            resize: Width in pixels, at least 100; None writes one pixel for each of the image's.

        Returns:
            The paths of the files.

        Raises:
            VisualCNNError: There is no heatmap to show.
            InvalidArgumentError: ``names`` or ``colormap`` is not as described.
            SizeTooSmall: ``resize`` is under 100.
        """
        resize = check_width(resize)
        directory = as_path("directory", directory)
        maps = _required(self._heatmaps, "heatmap")
        paths = []
        for stem, heatmaps in zip(file_stems(names, len(maps)), maps.values(), strict=True):
            colors = colorize(heatmaps, colormap)
            if resize:
                colors = tf.image.resize(colors, scaled(heatmaps.shape[1:], resize), method="nearest")
            for i, picture in enumerate(colors, start=1):
                name = f"{stem}_{i}.png" if len(heatmaps) > 1 else f"{stem}.png"
                paths.append(write_file(directory / name, tf.io.encode_png(picture).numpy()))
        return paths

    def show_heatmap(
        self, resize: int | None = 500, path: str | os.PathLike[str] | None = None, colormap: str = _COLORMAP
    ) -> None:
        """Show the last heatmaps side by side in a window, or writes that picture to a file.

        Where no window can be opened, the picture goes to a temporary file, and its path is printed.

        Args:
            resize: Width of each heatmap in pixels, at least 100; None shows the image's own size.
            path: A file instead of the window; its ending is a format of Matplotlib (png, pdf, svg, …).
            colormap: A name in :data:`visualcnn_tf.render.colormaps.COLORMAPS`.

        Raises:
            VisualCNNError: There is no heatmap to show.
            SizeTooSmall: ``resize`` is under 100.
            MissingExtraError: Matplotlib is not installed.
        """
        resize = check_width(resize)
        tiles = _tiles(_required(self._heatmaps, "heatmap"))
        show([Tile(title, colorize(heatmap, colormap).numpy()) for title, heatmap in tiles], resize, path)

    def show_blurmap(self, resize: int | None = 500, path: str | os.PathLike[str] | None = None) -> None:
        """Show the last blurmaps side by side in a window, or writes that picture to a file.

        Where no window can be opened, the picture goes to a temporary file, and its path is printed.

        Where it is not known what values the model takes, images other than uint8 are shown from 0 to 1, or from
        minimum to maximum if they leave that range.

        Args:
            resize: Width of each blurmap in pixels, at least 100; None shows the image's own size.
            path: A file instead of the window; its ending is a format of Matplotlib (png, pdf, svg, …).

        Raises:
            VisualCNNError: There is no blurmap to show.
            SizeTooSmall: ``resize`` is under 100.
            MissingExtraError: Matplotlib is not installed.
        """
        resize = check_width(resize)
        tiles = _tiles(_required(self._blurmaps, "blurmap"))
        show([Tile(title, self._as_rgb(image)) for title, image in tiles], resize, path)

    def show_layers(self) -> list[str]:
        """Print the layers that are shown, numbered as the files of :meth:`save_heatmaps`.

        Layers whose size depends on the image count as shown.

        Returns:
            The layers' paths.

        Raises:
            NotBuiltError: The model was never built nor called.
        """
        taps = [tap for tap in self._explained.taps if self.small_layers or not _is_small(tap.space)]
        for number, tap in enumerate(taps, start=1):
            print(f"{number}. {tap.path} {tap.sizes}")
        return [tap.path for tap in taps]

    def _as_rgb(self, image: Array) -> npt.NDArray[np.uint8]:
        pixels = self._explained.pixels
        photo = None if pixels is None or image.shape[-1] not in (1, 3) else pixels.unscale(image)
        return as_rgb(image if photo is None else np.clip(np.round(photo), 0, 255).astype(np.uint8))

    def _as_batch(self, image: npt.ArrayLike) -> Array:
        plan = self._explained.plan
        return as_batch(image, has_channels=plan is None or len(plan.inputs.specs[0].shape) > 3)

    def _maps(self, images: Array) -> dict[str, tf.Tensor]:
        """Return the heatmaps (B, H, W) of images (B, H, W, C) by the layer's number and path."""
        size = images.shape[1:3]
        if _is_small(size) and not self.small_layers:
            raise ImageTooSmallError(
                f"`input` must be at least {SMALL}×{SMALL} pixels, or no layer could be shown. "
                f"Received: {size[0]}×{size[1]}. Set `small_layers=True` to show small layers, too."
            )
        outputs = self._explained(images.astype(np.float32))
        maps: dict[str, tf.Tensor] = {}
        names = short_paths((tap.path for tap in self._explained.taps), _NAME)
        for tap in self._taps(images.shape[1:]):
            raw = outputs[tap.key]
            if _is_small(raw.shape[1:]) and not self.small_layers:
                _warn_of_small_layer(tap.path, raw.shape[1:])
                continue
            title = f"{len(maps) + 1}. {names[tap.path]}"
            maps[title] = place(raw, size, tap.region, "bilinear", _from_zero_to_one)
        return maps

    def _taps(self, shape: Shape) -> tuple[Tap, ...]:
        """Return the taps, with the parts of images of this shape that they cover."""
        taps = self._explained.taps
        if not any(tap.has_open_region for tap in taps):
            return taps
        model = self._explained.model
        return attach(model, layers=shown_layers(model), size=None, normalize=None, input_shape=shape).taps


def _from_zero_to_one(maps: tf.Tensor) -> tf.Tensor:
    return normalize_maps(maps, "minmax")


def _is_small(size: Sequence[int | None]) -> bool:
    return any(n is not None and n < SMALL for n in size)


def _warn_of_small_layer(path: str, size: Sequence[int]) -> None:
    warnings.warn(
        f"The layer {path!r} is left out: its maps of {size[0]}×{size[1]} are smaller than {SMALL}×{SMALL} "
        "and show little. Use Visualizer(model, small_layers=True) to show it.",
        SmallConvolutionWarning,
        stacklevel=4,
    )


def _required(maps: dict[str, Array] | None, call: str) -> dict[str, Array]:
    """Return the last result of a call; raise if there is none."""
    if not maps:
        raise VisualCNNError(
            f"There is no {call} to show. Call `{call}(image)` first; where all layers are smaller than "
            f"{SMALL}×{SMALL}, use Visualizer(model, small_layers=True)."
        )
    return maps


def _squeezed(batch: Array) -> Array:
    """Return a batch of one without its batch axis."""
    return np.asarray(batch[0]) if len(batch) == 1 else batch


def _tiles(batches: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    """Yield every single picture with its title."""
    for title, batch in batches.items():
        for i, picture in enumerate(batch, start=1):
            yield (f"{title} ({i})" if len(batch) > 1 else title), picture
