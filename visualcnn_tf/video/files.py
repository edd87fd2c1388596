"""A film as a file: an animated GIF, or a folder of PNG files."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.io.atomic import check_free, whole_folder, write_file, writing
from visualcnn_tf.video.frames import Frame, Frames, require_pillow

_FASTEST = 50  # frames per second: a GIF counts hundredths of a second, and players slow down those of one hundredth


def check_output(path: Path, frames: Frames, overwrite: bool) -> None:
    """Raise for a path that could not be written after the work is done.

    Raises:
        InvalidArgumentError: The path has another ending than ``.gif``, exists, or is or holds a frame.
        MissingExtraError: It is a GIF, and Pillow is not installed.
    """
    if path.suffix.lower() not in ("", ".gif"):
        raise bad_value("path", "a file that ends in .gif, or a folder for PNG files", str(path))
    real, taken = path.resolve(), [file.resolve() for file in (frames.path, *frames.files)]
    if any(real == file or real in file.parents for file in taken):
        raise bad_value("path", "another path than that of the frames, and hold none of them", str(path))
    if path.suffix:
        require_pillow()
    else:
        check_free(path, overwrite)


def frames_per_second(fps: float | None, frames: Frames) -> float:
    """Return ``fps`` or else the speed of the frames, 10 where it is unknown.

    Raises:
        InvalidArgumentError: ``fps`` is not over 0 and up to 50.
    """
    if fps is not None and not 0 < fps <= _FASTEST:
        raise bad_value("fps", f"a number over 0 and up to {_FASTEST}", fps)
    return fps or min(frames.fps or 10, _FASTEST)


def write_gif(path: Path, pictures: Iterable[Frame], fps: float) -> None:
    """Write an endless animation, at once or not at all."""
    image, content = require_pillow(), BytesIO()
    first, *others = (image.fromarray(picture).quantize(dither=image.Dither.NONE) for picture in pictures)
    first.save(content, "GIF", save_all=True, append_images=others, duration=round(1000 / fps), loop=0)
    write_file(path, content.getvalue())


def write_pngs(path: Path, pictures: Iterable[Frame], overwrite: bool) -> None:
    """Write ``frame_00001.png`` and so on into a new folder, all of them or none."""
    with whole_folder(path, overwrite, holds="frame_*.png") as folder:
        with writing(path):
            folder.mkdir()
        for number, picture in enumerate(pictures, 1):
            content = tf.io.encode_png(picture).numpy()
            with writing(path):
                (folder / f"frame_{number:05d}.png").write_bytes(content)
