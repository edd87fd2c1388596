"""Say why an image could not be read."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.io.decode import MAX_PIXELS, claimed_pixels


def why_unreadable(content: bytes) -> str:
    """Return why the model could not read an encoded image."""
    if not content:
        return "The file is empty"
    try:
        pixels = int(claimed_pixels(tf.constant(content)))
    except tf.errors.InvalidArgumentError:
        return "The image is damaged"
    if not pixels:
        return "This is no JPEG, PNG, GIF or BMP image"
    if pixels > MAX_PIXELS:
        return f"The image has more than {MAX_PIXELS:,} pixels"
    return "The image is damaged"
