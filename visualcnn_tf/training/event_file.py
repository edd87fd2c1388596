"""Pictures for TensorBoard, which need not be installed where they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.io.atomic import writing


class EventFile:
    """A new event file in a folder.

    Raises:
        PathNotWritableError: The folder can't be written; so do the methods.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with writing(folder):
            self._writer = tf.summary.create_file_writer(str(folder))

    def write(self, key: str, pictures: NDArray[np.uint8], step: int) -> None:
        """Write pictures ``(N, H, W, 3)`` as ``tf.summary.image`` does, which needs TensorBoard.

        Args:
            key: The name of the series.
            pictures: The pictures of one step.
            step: The position in the series.
        """
        _, height, width, _ = pictures.shape
        content = [str(width), str(height), *(tf.io.encode_png(picture).numpy() for picture in pictures)]
        metadata = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "images"})
        with writing(self._folder), self._writer.as_default():
            tf.summary.write(key, tf.constant(content), step=step, metadata=metadata)
            self._writer.flush()  # so that the pictures can be looked at while the training goes on

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
