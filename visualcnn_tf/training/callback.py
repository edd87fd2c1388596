"""HeatmapCallback: see during training what a network learns to look at."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from visualcnn_tf._attach import attach
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value, is_count
from visualcnn_tf.io.atomic import write_file
from visualcnn_tf.pipeline.options import LayerSelector, MethodChoice
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.pixels.registry import PixelsLike
from visualcnn_tf.pixels.registry import get as get_pixels
from visualcnn_tf.pixels.resolve import check_images
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP
from visualcnn_tf.render.overlay import overlay
from visualcnn_tf.render.value_range import check_brightness
from visualcnn_tf.targets.class_names import named_target
from visualcnn_tf.targets.registry import TargetLike
from visualcnn_tf.targets.registry import get as get_target
from visualcnn_tf.training.captions import captions
from visualcnn_tf.training.event_file import EventFile
from visualcnn_tf.viz.gallery import require_matplotlib
from visualcnn_tf.viz.predictions import check_count
from visualcnn_tf.viz.sizes import legible_size
from visualcnn_tf.viz.strip import draw_strip
from visualcnn_tf.viz.windows import Tile

Logs: TypeAlias = Mapping[str, float] | None

_SMALLEST = 112  # pixels: smaller images are enlarged by a whole factor


class HeatmapCallback(keras.callbacks.Callback):
    """Overlays a few images with their heatmaps at the end of epochs, for TensorBoard and as PNG files.

    The training itself is not changed: the weights are those without the callback. TensorBoard shows one series of
    pictures for each heatmap, with a slider over epochs; it need not be installed where the model is trained. A PNG
    file ``<heatmap>_epoch_0001.png`` holds all images of one epoch side by side, with the predicted and the explained
    class of each. Epochs count from 1 in both, as Keras prints them.

    Example:
        >>> callback = HeatmapCallback(x_test[:8], log_dir="logs")                        # doctest: +SKIP
        >>> model.fit(x, y, epochs=10, callbacks=[callback])                              # doctest: +SKIP

    Args:
        images: What the model takes, ``(N, H, W, 1)`` or ``(N, H, W, 3)``.
        layers: As in ``attach``.
        method: As in ``attach``.
        log_dir: Folder for TensorBoard's event file.
        png_dir: Folder for PNG files, which need the extra ``plot``. One of the two must be given, or both.
        every: Draw only every so many epochs.
        max_images: How many of the images are drawn, the first ones. They determine the cost.
        target: As in ``attach``, but not ``"input"``; with ``class_names`` also the name of a class, or several.
        alpha: Opacity of the colors; this and the following as in ``overlay``.
        colormap: Name of the color map.
        weighted: Whether the opacity is proportional to the heatmap.
        pixels: What the model takes where a photo has pixels of 0 to 255, as in ``attach``: the images are drawn from
            it. By default it is found in the model; images of integers are pixels from 0 to 255.
        class_names: The names of the classes, in the order of their indices.

    Attributes:
        seconds: How long the pictures of the last ``fit`` took in all. It is printed at the end of ``fit``, unless
            ``verbose=0``.

    Raises:
        InvalidArgumentError: An option is not allowed, or the images are not as ``pixels`` says. What ``attach``
            raises, and that ``pixels`` is missing, comes at the beginning of ``fit``, or after its first epoch for a
            model whose inputs are unknown before.
        MissingExtraError: Matplotlib, which draws the PNG files, is not installed.
        PathNotWritableError: During ``fit``: a folder can't be written.
    """

    def __init__(
        self,
        images: ArrayLike,
        layers: LayerSelector = "last",
        method: MethodChoice = "gradcam",
        log_dir: str | os.PathLike[str] | None = None,
        *,
        png_dir: str | os.PathLike[str] | None = None,
        every: int = 1,
        max_images: int = 8,
        target: TargetLike = "predicted",
        alpha: float = 0.5,
        colormap: str = DEFAULT_COLORMAP,
        weighted: bool = False,
        pixels: PixelsLike | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if log_dir is None and png_dir is None:
            raise bad_value("log_dir", "given, or png_dir, or both", None, "Say where the pictures go.")
        _check_count("every", every)
        _check_count("max_images", max_images)
        target = target if class_names is None else named_target(target, class_names)
        if get_target(target).inputs:
            raise bad_value("target", "what all images share, such as 'predicted' or a class index", target)
        self.seconds, self._start, self._drawn = 0.0, 0.0, 0
        self._class_names = class_names
        self._images = _checked_images(images)[:max_images]
        self._overlay = partial(overlay, alpha=alpha, colormap=colormap, weighted=weighted, value_range=(0, 255))
        self._size = legible_size(self._images.shape[1:], _SMALLEST)
        # A wrong option raises here, and not in `fit`.
        self._overlay(np.zeros_like(self._images), np.zeros(self._images.shape[:3], np.float32))
        self._photos = None if pixels is None else _photos(self._images, get_pixels(pixels))
        options = {"layers": layers, "method": method, "target": target, "size": self._size, "pixels": pixels}
        self._options: dict[str, Any] = options
        self._log_dir = None if log_dir is None else Path(log_dir)
        self._png_dir = None if png_dir is None else _png_folder(png_dir)
        self._every = every
        self._explained: ExplainedModel | None = None
        self._event_file: EventFile | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Attach to the model, if that has not been done yet, and open the event file."""
        self._start, self._drawn = time.perf_counter(), 0
        if self._explained is None or self._explained.model is not self.model:
            self._explained = attach(self.model, **self._options)
            self._photos = self._photos if self._options["pixels"] is not None else None
        self._check_class_names(self._explained)
        self._find_photos(self._explained)
        self._event_file = None if self._log_dir is None else EventFile(self._log_dir)
        self.seconds = time.perf_counter() - self._start

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Draw and write, every so many epochs."""
        if self._explained is None or (epoch + 1) % self._every:
            return
        start = time.perf_counter()
        outputs = self._explained(self._images, training=False)
        self._check_class_names(self._explained)
        self._find_photos(self._explained)
        for tap, pictures in self._pictures(self._explained.taps, outputs):
            if self._event_file is not None:
                self._event_file.write(tap.key, pictures, epoch + 1)
            if self._png_dir is not None:
                texts = captions(tap, outputs, len(pictures), self._class_names)
                tiles = [Tile(text, picture) for text, picture in zip(texts, pictures, strict=True)]
                strip = draw_strip(tiles, f"{tap.path}, {tap.method.name}, epoch {epoch + 1}")
                write_file(self._png_dir / f"{tap.key}_epoch_{epoch + 1:04d}.png", strip)
        self._drawn += 1
        self.seconds += time.perf_counter() - start

    def on_train_end(self, logs: Logs = None) -> None:
        """Close the event file and print the cost."""
        if self._event_file is not None:
            self._event_file.close()
            self._event_file = None
        if self.params.get("verbose"):
            share = self.seconds / (time.perf_counter() - self._start)
            print(f"Heatmaps of {self._drawn} epochs took {self.seconds:.1f} s, {share:.0%} of the training.")

    def _check_class_names(self, explained: ExplainedModel) -> None:
        """Raise unless there is one name for each class, as far as their number is known."""
        count = None if explained.plan is None else explained.plan.class_count
        if self._class_names is not None and count is not None:
            check_count("class_names", self._class_names, count, "class")

    def _find_photos(self, explained: ExplainedModel) -> None:
        """Find what the images were made of, once the model tells what it takes.

        Raises:
            InvalidArgumentError: It does not tell.
        """
        if self._photos is not None or explained.plan is None:
            return
        known = explained.pixels or (Pixels() if self._images.dtype.kind in "iu" else None)
        if known is None:
            raise bad_value("pixels", "given for images of floats and a model that does not tell what it takes", None)
        self._photos = _photos(self._images, known)

    def _pictures(
        self, taps: Sequence[Tap], outputs: Mapping[str, tf.Tensor]
    ) -> Iterator[tuple[Tap, NDArray[np.uint8]]]:
        """Yield each tap and the images with its heatmap laid over them."""
        factor = self._size[0] // self._images.shape[1]
        photos = np.asarray(self._photos).repeat(factor, axis=1).repeat(factor, axis=2)
        for tap in taps:
            yield tap, self._overlay(photos, outputs[tap.key]).numpy()


def _photos(images: NDArray[Any], pixels: Pixels) -> NDArray[np.float32]:
    """Return the pixels from 0 to 255 that a model's images were made of.

    Raises:
        InvalidArgumentError: The images are not what ``pixels`` says, or a function made them.
    """
    check_images(pixels, images.shape)
    photos = pixels.unscale(images)
    if photos is None:
        raise bad_value("pixels", "given by name: the images are drawn", pixels.values)
    check_brightness(images, pixels, "images")
    return np.asarray(photos)


def _png_folder(path: str | os.PathLike[str]) -> Path:
    require_matplotlib()  # now, and not after an epoch
    return Path(path)


def _check_count(argument: str, count: int) -> None:
    if not is_count(count):
        raise bad_value(argument, "a whole number of at least 1", count)


def _checked_images(images: ArrayLike) -> NDArray[Any]:
    """Return images as an array, floats in float32."""
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise bad_value("images", "(N, H, W, 1) or (N, H, W, 3) with at least one image", array.shape)
    return array.astype(np.float32) if array.dtype.kind == "f" else array
