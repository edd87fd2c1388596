"""A film overlaid with heatmaps, all on one color scale, so that frames can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import keras

from visualcnn_tf._attach import attach
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value, is_count, quoted
from visualcnn_tf._utils.progress import progress
from visualcnn_tf.methods.registry import MethodLike
from visualcnn_tf.pipeline.options import LayerSelector
from visualcnn_tf.pixels.registry import PixelsLike
from visualcnn_tf.video.files import check_output, frames_per_second, write_gif, write_pngs
from visualcnn_tf.video.film import DEFAULT_LOOK, Film, Look
from visualcnn_tf.video.frames import Frames
from visualcnn_tf.video.scale import checked_scale, robust_scale


def heatmap_video(
    model: keras.Model,
    frames: Frames,
    path: Path,
    *,
    layer: LayerSelector = "last",
    method: MethodLike = "gradcam",
    pixels: PixelsLike | None = None,
    scale: Sequence[float] | None = None,
    calibrate: int = 30,
    look: Look = DEFAULT_LOOK,
    fps: float | None = None,
    overwrite: bool = False,
) -> tuple[float, float]:
    """Write frames with the heatmap of one layer over each, as an animated GIF or a folder of PNG files.

    Equal heatmaps have equal colors wherever in the film they are: raw maps are mapped to colors by one scale.

    Args:
        model: A model of one image, gray or in color. Frames are resized to its input; the pictures have the first
            frame's size (enlarged by a whole factor if small).
        frames: What ``open_frames`` returns.
        path: A ``.gif`` file, or a folder that does not exist yet.
        layer: One layer, as in ``attach``.
        method: A method, as in ``attach``.
        pixels: What the model takes where a frame has pixels of 0 to 255, as in ``attach``. Needed unless it is found
            in the model.
        scale: The raw values that get the lowest and the highest color. By default the 1st and the 99th percentile
            over the first frames.
        calibrate: How many frames these are.
        look: How heatmaps are laid over frames.
        fps: Frames per second of a GIF; by default those of a GIF that is read, else 10.
        overwrite: Whether an earlier folder of frames is replaced.

    Returns:
        The scale.

    Raises:
        InvalidArgumentError: An option is not allowed or missing, or ``layer`` means several layers.
        ImageReadError: A frame can't be read.
        MissingExtraError: A GIF is to be written, and Pillow is not installed.
        PathNotWritableError: ``path`` can't be written.
    """
    check_output(path, frames, overwrite)
    if not is_count(calibrate):
        raise bad_value("calibrate", "a whole number of at least 1", calibrate)
    speed = frames_per_second(fps, frames)
    given = None if scale is None else checked_scale(scale)
    film = Film(_explained(model, layer, method, pixels), next(iter(frames)).shape)
    low, high = given or robust_scale(maps for _, maps in film.maps(islice(frames, calibrate)))
    pictures = progress(film.pictures(frames, (low, high), look), frames.count)
    if path.suffix:
        write_gif(path, pictures, speed)
    else:
        write_pngs(path, pictures, overwrite)
    return low, high


def _explained(
    model: keras.Model, layer: LayerSelector, method: MethodLike, pixels: PixelsLike | None
) -> ExplainedModel:
    """Return the model with raw heatmaps of one layer, in the layer's own size."""
    explained = attach(model, layer, method=method, size=None, normalize=None, pixels=pixels)
    if len(explained.taps) > 1:
        found = quoted(tap.key for tap in explained.taps)
        raise bad_value("layer", "one layer, with one method", layer, f"It means {found}.")
    if explained.pixels is None:
        raise bad_value("pixels", "given for a model that does not tell what it takes", None, "Such as '0..1'.")
    return explained
