"""Read an image from a file, decoded by TensorFlow."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from visualcnn_tf.errors import ImageReadError
from visualcnn_tf.io.decode import MAX_PIXELS, decode_checked


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
