"""HeatmapCallback: watch during training what a network learns to look at."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf._attach import attach
from visualcnn_tf._utils.checks import bad_value, is_count
from visualcnn_tf.io.atomic import write_file, writing
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP
from visualcnn_tf.render.overlay import overlay
from visualcnn_tf.targets.registry import TargetLike
from visualcnn_tf.targets.registry import get as get_target
from visualcnn_tf.viz.pictures import legible_size

_SMALLEST = 112  # pixels: smaller images are enlarged by a whole factor


class HeatmapCallback(keras.callbacks.Callback):
    """Writes the heatmaps of a few images over them at the end of epochs, for TensorBoard and as PNG files.

    The training itself is not changed: the weights are those without the callback. TensorBoard shows one series of
    pictures for each heatmap, with a slider over epochs; it need not be installed where the model is trained. A PNG
    file ``<heatmap>_epoch_0001.png`` holds all images of one epoch side by side.

    Example:
        >>> callback = HeatmapCallback(x_test[:8], log_dir="logs")                        # doctest: +SKIP
        >>> model.fit(x, y, epochs=10, callbacks=[callback])                              # doctest: +SKIP

    Args:
        images: what the model takes, ``(N, H, W, 1)`` or ``(N, H, W, 3)``.
        layers: as in ``attach``.
        method: as in ``attach``.
        log_dir: folder for TensorBoard's event file.
        png_dir: folder for PNG files. One of the two must be given, or both.
        every: how many epochs lie between two pictures.
        max_images: how many of the images are drawn, the first ones: the bound of the cost.
        target: as in ``attach``, but not ``"input"``.
        alpha: opacity of the colors; this and the following as in ``overlay``.
        colormap: name of the color map.
        weighted: whether the opacity is proportional to the heatmap.
        value_range: the images' black and white, e.g. ``(-1, 1)``; by default (0, 1) for floats, (0, 255) for
            integers.

    Attributes:
        seconds: what the pictures of the last ``fit`` took in all, which it also says at its end unless it is silent.

    Raises:
        InvalidArgumentError: for an option that is not allowed, or images that go beyond ``value_range``. What
            ``attach`` raises comes at the beginning of ``fit``, or after its first epoch for a model that doesn't
            know its inputs before.
        PathNotWritableError: during ``fit``, when a folder can't be written.
    """

    def __init__(
        self,
        images: Any,
        layers: Any = "last",
        method: Any = "gradcam",
        log_dir: str | os.PathLike[str] | None = None,
        *,
        png_dir: str | os.PathLike[str] | None = None,
        every: int = 1,
        max_images: int = 8,
        target: TargetLike = "predicted",
        alpha: float = 0.5,
        colormap: str = DEFAULT_COLORMAP,
        weighted: bool = False,
        value_range: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if log_dir is None and png_dir is None:
            raise bad_value("log_dir", "given, or png_dir, or both", None, "Say where the pictures go.")
        for name, count in (("every", every), ("max_images", max_images)):
            if not is_count(count):
                raise bad_value(name, "a whole number of at least 1", count)
        if get_target(target).takes_class_index:
            raise bad_value("target", "what all images share, such as 'predicted' or a class index", target)
        self.seconds = 0.0
        self._images = _checked_images(images)[:max_images]
        self._look: dict[str, Any] = {
            "alpha": alpha,
            "colormap": colormap,
            "weighted": weighted,
            "value_range": value_range,
        }
        self._size = legible_size(self._images.shape[1:], _SMALLEST)
        overlay(self._images, np.zeros(self._images.shape[:3], np.float32), **self._look)  # raises now, not in `fit`
        self._options = {"layers": layers, "method": method, "target": target, "size": self._size}
        self._log_dir = None if log_dir is None else Path(log_dir)
        self._png_dir = None if png_dir is None else Path(png_dir)
        self._every = every
        self._explained: Any = None
        self._writer: Any = None
        self._began, self._drawn = 0.0, 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Attaches to the model, if it has not yet."""
        self._began, self._drawn, self.seconds = time.perf_counter(), 0, 0.0
        if self._explained is None or self._explained.model is not self.model:
            self._explained = attach(self.model, **self._options)
        if self._log_dir is not None:
            with writing(self._log_dir):
                self._writer = tf.summary.create_file_writer(str(self._log_dir))
        self.seconds = time.perf_counter() - self._began

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Draws and writes, in every so many epochs."""
        if (epoch + 1) % self._every:
            return
        start = time.perf_counter()
        for key, pictures in self._pictures():
            if self._writer is not None:
                self._write_event(key, pictures, epoch)
            if self._png_dir is not None:
                strip = tf.io.encode_png(np.concatenate(pictures, axis=1)).numpy()
                write_file(self._png_dir / f"{key}_epoch_{epoch + 1:04d}.png", strip)
        self._drawn += 1
        self.seconds += time.perf_counter() - start

    def on_train_end(self, logs: Any = None) -> None:
        """Closes the event file and tells the cost."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self.params.get("verbose"):
            share = self.seconds / (time.perf_counter() - self._began)
            print(f"Heatmaps of {self._drawn} epochs took {self.seconds:.1f} s, {share:.0%} of the training.")

    def _pictures(self) -> Iterator[tuple[str, NDArray[np.uint8]]]:
        """The key of each heatmap, and the images under it."""
        outputs = self._explained(self._images, training=False)
        factor = self._size[0] // self._images.shape[1]
        images = self._images.repeat(factor, axis=1).repeat(factor, axis=2)
        for tap in self._explained.taps:
            yield tap.key, overlay(images, outputs[tap.key], **self._look).numpy()

    def _write_event(self, key: str, pictures: NDArray[np.uint8], epoch: int) -> None:
        """What ``tf.summary.image`` writes, which needs TensorBoard to be installed."""
        _, height, width, _ = pictures.shape
        content = [str(width), str(height), *(tf.io.encode_png(picture).numpy() for picture in pictures)]
        metadata = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "images"})
        with writing(self._log_dir or Path()), self._writer.as_default():
            tf.summary.write(key, tf.constant(content), step=epoch, metadata=metadata)
            self._writer.flush()  # to be looked at while the training goes on


def _checked_images(images: Any) -> NDArray[Any]:
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or 0 in array.shape:
        raise bad_value("images", "(N, H, W, 1) or (N, H, W, 3) with at least one image", array.shape)
    return array.astype(np.float32) if array.dtype.kind == "f" else array
