"""Read photos from files, fitted to a model's input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.io.images import read_image
from visualcnn_tf.pixels.pixels import Pixels


def read_photos(paths: Sequence[Path], shape: Shape, pixels: Pixels) -> NDArray[np.float32]:
    """Read JPEG, PNG, BMP and GIF files, and fit them to a model's input.

    Args:
        paths: The files.
        shape: The shape of the input, ``(B, H, W, C)``. Where a size is None, that of ``pixels`` or else of the first
            photo is used; where the number of channels is None, 3.
        pixels: How they are fitted.

    Returns:
        The photos, ``(N, H, W, C)``, from 0 to 255.

    Raises:
        ImageReadError: If a file is missing, or is not an image that can be read.
    """
    _, height, width, channels = shape
    photos = [read_image(path, channels or 3) for path in paths]
    open_size = pixels.size or tuple(photos[0].shape[:2])
    size = (height or open_size[0], width or open_size[1])
    return np.stack([pixels.fitted(photo, size).numpy() for photo in photos])
