"""The frames of a film: a folder of pictures, or an animated GIF, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf.errors import ImageReadError, MissingExtraError
from visualcnn_tf.io.image_files import image_files
from visualcnn_tf.io.images import read_image

if TYPE_CHECKING:
    from PIL import Image

Frame: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class Frames:
    """Frames ``(H, W, 3)`` of RGB, of any sizes; each iteration reads them again.

    Attributes:
        path: A folder, or a GIF.
        files: The pictures of the folder, in order; none for a GIF.
        count: How many frames there are.
        fps: Frames per second, None where the file does not say.
    """

    path: Path
    files: tuple[Path, ...]
    count: int
    fps: float | None = None

    def __iter__(self) -> Iterator[Frame]:
        """Read the frames, one after the other.

        Raises:
            ImageReadError: One of them can't be read; the message says which.
        """
        if not self.files:
            return _gif_frames(self.path)
        return (np.asarray(read_image(file, 3)) for file in self.files)


def open_frames(path: Path) -> Frames:
    """Return the frames in a folder, at any depth and in the order of their names (2 before 10), or of an animated GIF.

    Raises:
        ImageReadError: There is no such folder or GIF, or no picture in it.
        MissingExtraError: It is a GIF, and Pillow is not installed.
    """
    if path.is_dir():
        files = tuple(image_files([path]))
        return Frames(path, files, len(files))
    if not path.exists():
        raise ImageReadError(f"There is no file or folder `{path}`.")
    if not path.is_file() or path.suffix.lower() != ".gif":
        raise ImageReadError(
            f"`{path}` must be a folder of pictures or an animated GIF. Other films become a folder of pictures with, "
            f"for example, `mkdir frames && ffmpeg -i {path.name} frames/%05d.png`."
        )
    with _open_gif(path) as gif:
        milliseconds = gif.info.get("duration", 0)
        return Frames(path, (), gif.n_frames, 1000 / milliseconds if milliseconds else None)


def require_pillow() -> ModuleType:
    """Return the module ``PIL.Image``.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError(
            'GIFs are read and written with Pillow. Install it with: pip install "visualcnn-tf[plot]"'
        ) from error
    module: ModuleType = Image
    return module


def _open_gif(path: Path) -> Image.Image:
    """Open an animated GIF."""
    image = require_pillow()
    try:
        gif: Image.Image = image.open(path, formats=["GIF"])
    except (image.UnidentifiedImageError, OSError) as error:
        raise ImageReadError(f"`{path}` can't be read as a GIF: {error}.") from error
    return gif


def _gif_frames(path: Path) -> Iterator[Frame]:
    """Read the frames of a GIF."""
    with _open_gif(path) as gif:
        for number in range(gif.n_frames):
            try:
                gif.seek(number)
                yield np.asarray(gif.convert("RGB"))
            except (EOFError, OSError, SyntaxError) as error:
                raise ImageReadError(f"Frame {number + 1} of `{path}` can't be read: {error}.") from error
