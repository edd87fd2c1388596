"""Read images from files, decoded by TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.errors import ImageReadError
from visualcnn_tf.io.decode import MAX_PIXELS, decode_checked


def read_images(paths: Sequence[Path], shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """Read JPEG, PNG, BMP and GIF files, and resize them to a model's input.

    Args:
        paths: The files.
        shape: The shape of the input, ``(B, H, W, C)``. Where a size is None, that of the first image is used; where
            the number of channels is None, 3.

    Returns:
        The images, ``(N, H, W, C)``, from 0 to 255.

    Raises:
        ImageReadError: If a file is missing, or is not an image that can be read.
    """
    _, height, width, channels = shape
    images = [read_image(path, channels or 3) for path in paths]
    size = (height or images[0].shape[0], width or images[0].shape[1])
    resized = [tf.image.resize(image, size, antialias=True).numpy() for image in images]
    return np.stack(resized)


def read_image(path: Path, channels: int) -> tf.Tensor:
    """Read a JPEG, PNG, BMP or GIF file (its first frame).

    Args:
        path: The file.
        channels: 1 or 3.

    Returns:
        The pixels, uint8 ``(H, W, channels)``; see :func:`visualcnn_tf.io.decode.decode_checked`.

    Raises:
        ImageReadError: If the file is missing, or is not an image that can be read.
    """
    if not path.is_file():
        raise ImageReadError(f"There is no image file or folder `{path}`.")
    try:
        return _decode(tf.constant(path.read_bytes()), channels)
    except tf.errors.InvalidArgumentError as error:
        raise ImageReadError(
            f"`{path}` can't be read as an image. Allowed are JPEG, PNG, BMP and GIF, up to {MAX_PIXELS:,} pixels."
        ) from error


# As a graph: executed eagerly, the loop over the blocks of a large GIF takes seconds.
_decode = tf.function(decode_checked, autograph=False)
