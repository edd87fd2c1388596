"""Images from files, decoded by TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.errors import ImageReadError
from visualcnn_tf.io.decode import MAX_PIXELS, decode_checked


def read_images(paths: Sequence[Path], shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """Reads JPEG, PNG, BMP and GIF files in the size and the channels of a model's input.

    Args:
        paths: The files.
        shape: ``(batch, height, width, channels)``; where a size is unknown, the first image's is taken.

    Returns:
        ``(N, height, width, channels)``, in [0, 255].

    Raises:
        ImageReadError: A file is missing or holds no such image.
    """
    _, height, width, channels = shape
    images = [read_image(path, channels or 3) for path in paths]
    size = (height or images[0].shape[0], width or images[0].shape[1])
    resized = [tf.image.resize(image, size, antialias=True).numpy() for image in images]
    return np.stack(resized)


def read_image(path: Path, channels: int) -> Any:
    """A JPEG, PNG, BMP or GIF file (its first frame) as uint8 ``(height, width, channels)``.

    Raises:
        ImageReadError: The file is missing or holds no such image.
    """
    if not path.is_file():
        raise ImageReadError(f"There is no image file `{path}`.")
    try:
        return _decode(tf.constant(path.read_bytes()), channels)
    except tf.errors.InvalidArgumentError as error:
        raise ImageReadError(
            f"`{path}` can't be read as an image. Allowed are JPEG, PNG, BMP and GIF, up to {MAX_PIXELS:,} pixels."
        ) from error


# In a graph: step by step, the walk through a large GIF takes seconds.
_decode = tf.function(decode_checked, autograph=False)
