"""A film with heatmaps over it: every frame on one scale of colors, so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf._attach import attach
from visualcnn_tf._utils.checks import bad_value, is_count, quoted
from visualcnn_tf._utils.progress import progress
from visualcnn_tf.introspect.inputs import image_inputs
from visualcnn_tf.io.atomic import check_free, whole_folder, write_file, writing
from visualcnn_tf.ops.normalize import check_normalize, normalize_maps
from visualcnn_tf.ops.resize import resize
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP, color_table
from visualcnn_tf.render.overlay import check_alpha, overlay
from visualcnn_tf.video.frames import Frame, Frames, require_pillow
from visualcnn_tf.viz.pictures import legible_size

_BATCH = 8
_ROBUST = (1, 99)  # percentiles: a few extreme values must not make all others look alike
_SMALLEST = 224  # pixels: smaller pictures are enlarged by a whole factor
_LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)  # ITU-R BT.601, as in JPEG
_FASTEST = 50  # frames a second: a GIF counts in hundredths of a second, and programs refuse to show one alone


@dataclass(frozen=True)
class Look:
    """How heatmaps are laid over frames; see ``overlay``."""

    alpha: float = 0.5
    colormap: str = DEFAULT_COLORMAP
    weighted: bool = False

    def __post_init__(self) -> None:
        """Raises for an option that is not allowed."""
        check_alpha(self.alpha)
        color_table(self.colormap)


def heatmap_video(
    model: Any,
    frames: Frames,
    path: Path,
    *,
    layer: Any = "last",
    method: Any = "gradcam",
    prepare: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda images: images,
    scale: Sequence[float] | None = None,
    calibrate: int = 30,
    look: Look = Look(),
    fps: float | None = None,
    overwrite: bool = False,
) -> tuple[float, float]:
    """Writes frames with the heatmap of one layer over each, as an animated GIF or a folder of PNG files.

    Equal heatmaps have equal colors wherever in the film they are: raw maps are mapped to colors by one scale.

    Args:
        model: A model of one image, gray or in color. Frames are resized to its input; the pictures have the first
            frame's size (enlarged by a whole factor if small).
        frames: What ``open_frames`` returns.
        path: A ``.gif`` file, or a folder that does not exist yet.
        layer: One layer, as in ``attach``.
        method: A method, as in ``attach``.
        prepare: From frames in 0 … 255 to what the model takes.
        scale: The raw values that get the lowest and the highest color. By default the 1st and the 99th percentile
            over the first frames.
        calibrate: How many frames these are.
        look: How heatmaps are laid over frames.
        fps: Frames a second of a GIF; by default those of a GIF that is read, else 10.
        overwrite: Whether an earlier folder of frames is replaced.

    Returns:
        The scale.

    Raises:
        InvalidArgumentError: An option is not allowed, or ``layer`` means several layers.
        ImageReadError: A frame can't be read.
        MissingExtraError: A GIF is to be written, and Pillow is not installed.
        PathNotWritableError: ``path`` can't be written.
    """
    speed = _check(frames, path, overwrite, calibrate, fps)
    if scale is not None:
        scale = _checked_scale(scale)
    first = next(iter(frames)).shape
    film = Film(_explained(model, layer, method), first, prepare)
    low, high = scale or robust_scale(maps for _, maps in film.maps(islice(frames, calibrate)))
    pictures = progress(film.pictures(frames, (low, high), look), frames.count)
    if path.suffix:
        write_gif(path, pictures, speed)
    else:
        write_pngs(path, pictures, overwrite)
    return low, high


def _checked_scale(scale: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = scale
        check_normalize(("range", low, high))
    except ValueError:
        raise bad_value("scale", "two finite numbers of float32, the smaller one first", scale) from None
    return float(low), float(high)


def _check(frames: Frames, path: Path, overwrite: bool, calibrate: int, fps: float | None) -> float:
    """Frames a second; raises for what would fail after the work is done."""
    if path.suffix.lower() not in ("", ".gif"):
        raise bad_value("path", "a file that ends in .gif, or a folder for PNG files", str(path))
    if path.resolve() == frames.path.resolve():
        raise bad_value("path", "another place than the frames", str(path))
    if path.suffix:
        require_pillow()
    else:
        check_free(path, overwrite)
    if not is_count(calibrate):
        raise bad_value("calibrate", "a whole number of at least 1", calibrate)
    if fps is not None and not 0 < fps <= _FASTEST:
        raise bad_value("fps", f"a number over 0 and up to {_FASTEST}", fps)
    return fps or min(frames.fps or 10, _FASTEST)


def _explained(model: Any, layer: Any, method: Any) -> Any:
    """The model with raw heatmaps of one layer, of its own size."""
    explained = attach(model, layer, method=method, size=None, normalize=None)
    if len(explained.taps) == 1:
        return explained
    found = quoted(tap.key for tap in explained.taps)
    raise bad_value("layer", "one layer, with one method", layer, f"It means {found}.")


def robust_scale(maps: Iterable[NDArray[Any]]) -> tuple[float, float]:
    """The 1st and the 99th percentile of all values; the extremes where these are equal; never equal."""
    values = np.concatenate([one.ravel() for one in maps])
    for percentiles in (_ROBUST, (0, 100)):
        low, high = (float(value) for value in np.percentile(values, percentiles))
        if low < high:
            return low, high
    return low, low + 1


class Film:
    """An explained model with one raw heatmap that looks at frames, the first of which has the shape ``first``."""

    def __init__(self, explained: Any, first: Sequence[int], prepare: Callable[[Any], Any]) -> None:
        self.explained = explained
        self.prepare = prepare
        self._size = legible_size(first, _SMALLEST)
        _, height, width, self._channels = image_inputs(explained.model).specs[0].shape
        self._input_size = (height or first[0], width or first[1])

    def maps(self, frames: Iterable[Frame]) -> Iterator[tuple[list[Frame], NDArray[np.float32]]]:
        """Frames with their raw maps ``(B, h, w)``, some at a time."""
        remaining = iter(frames)
        while batch := list(islice(remaining, _BATCH)):
            inputs = self.prepare(np.stack([self._input(frame) for frame in batch]))
            yield batch, self.explained(inputs)[self.explained.taps[0].key].numpy()

    def pictures(self, frames: Iterable[Frame], scale: tuple[float, float], look: Look) -> Iterator[Frame]:
        """The frames with their heatmaps over them, ``(H, W, 3)`` uint8."""
        for batch, maps in self.maps(frames):
            images = tf.stack([_resized(frame, self._size) for frame in batch])
            heatmaps = normalize_maps(resize(tf.constant(maps), self._size), ("range", *scale))
            pictures = overlay(
                images, heatmaps, look.alpha, look.colormap, weighted=look.weighted, value_range=(0, 255)
            )
            yield from pictures.numpy()

    def _input(self, frame: Frame) -> NDArray[np.float32]:
        """A frame in the model's size and channels, in 0 … 255."""
        image = np.asarray(_resized(frame, self._input_size))
        return image if self._channels != 1 else np.asarray(image @ _LUMA)


def _resized(frame: Frame, size: tuple[int, int]) -> Any:
    """Float32: pixels repeated where the size is a multiple, anti-aliased bilinear elsewhere."""
    whole = size[0] % frame.shape[0] == 0 and size[1] % frame.shape[1] == 0
    resized = tf.image.resize(frame, size, "nearest" if whole else "bilinear", antialias=not whole)
    return tf.cast(resized, tf.float32)


def write_gif(path: Path, pictures: Iterable[Frame], fps: float) -> None:
    """Writes an endless animation, at once or not at all."""
    image, content = require_pillow(), BytesIO()
    first, *others = (image.fromarray(picture).quantize(dither=image.Dither.NONE) for picture in pictures)
    first.save(content, "GIF", save_all=True, append_images=others, duration=round(1000 / fps), loop=0)
    write_file(path, content.getvalue())


def write_pngs(path: Path, pictures: Iterable[Frame], overwrite: bool) -> None:
    """Writes ``frame_00001.png`` and so on into a new folder, all of them or none."""
    with whole_folder(path, overwrite, holds="frame_*.png") as folder:
        with writing(path):
            folder.mkdir()
        for number, picture in enumerate(pictures, 1):
            content = tf.io.encode_png(picture).numpy()
            with writing(path):
                (folder / f"frame_{number:05d}.png").write_bytes(content)
