"""Make example inputs from seeded noise, to run an exported model on when the user gives none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from visualcnn_tf.export.types import Arrays
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs

_BATCH = 2
_UNKNOWN = 64  # used for a dimension that the model leaves open


def example_inputs(signature: str, inputs: ModelInputs, user_inputs: ModelInputs) -> Arrays:
    """Return a batch of noise for one signature.

    Args:
        signature: The name of the signature.
        inputs: The inputs of the exported model.
        user_inputs: The inputs of the user's model: the same without a class index.

    Returns:
        The inputs of the signature by name: encoded images for ``serving_bytes``, and otherwise numbers from 0 to 1.
        A batch of two if the model leaves its size open.
    """
    count = batch_size(user_inputs)
    if signature == "predict":
        return _noise(user_inputs.specs, count)
    if signature == "serving_bytes":
        size = (count, *(n or 1 for n in user_inputs.specs[0].shape[1:]))
        pixels = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
        return {"image_bytes": png_files(pixels), **_noise(inputs.specs[len(user_inputs.specs) :], count)}
    return _noise(inputs.specs, count)


def batch_size(inputs: ModelInputs) -> int:
    """Return how many examples the inputs take at once, two if any number."""
    return inputs.specs[0].shape[0] or _BATCH


def png_files(images: np.ndarray) -> np.ndarray:
    """Return images as PNG files: all but the first with a margin, so that they have to be resized.

    Args:
        images: ``(B, H, W, C)``, uint8.

    Returns:
        The contents of the files, bytes ``(B,)``.
    """
    margins = [(0, 0), (0, 3), (0, 6), (0, 0)]
    larger = np.pad(images, margins, "edge")
    return np.array([tf.io.encode_png(image).numpy() for image in (images[0], *larger[1:])], object)


def _noise(specs: Sequence[ModelInput], count: int) -> Arrays:
    """Return numbers from 0 to 1; integers, such as a class index, are 0, and texts a word."""
    rng = np.random.default_rng(0)
    shapes = {spec.name: (count, *(n or _UNKNOWN for n in spec.shape[1:])) for spec in specs}
    return {
        spec.name: np.full(shapes[spec.name], b"word", object)
        if spec.dtype == "string"
        else rng.uniform(0, 1, shapes[spec.name]).astype(spec.dtype)
        for spec in specs
    }
