"""Make example inputs from seeded noise, to run an exported model on when the user gives none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from visualcnn_tf.export.pixels import image_specs
from visualcnn_tf.export.types import Arrays
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs
from visualcnn_tf.pixels.pixels import Pixels

_BATCH = 2
_UNKNOWN = 64  # used for a dimension that the model leaves open


def example_inputs(signature: str, inputs: ModelInputs, user_inputs: ModelInputs, pixels: Pixels | None) -> Arrays:
    """Return a batch of noise for one signature.

    Args:
        signature: The name of the signature.
        inputs: The inputs of the exported model.
        user_inputs: The inputs of the user's model: the same without those of a target.
        pixels: What its images are, if that is known.

    Returns:
        The inputs of the signature by name: encoded images for ``serving_bytes``, images of noise, and other numbers
        from 0 to 1. A batch of two if the model leaves its size open.
    """
    count = batch_size(user_inputs)
    if signature == "predict":
        return _noise(user_inputs.specs, count, pixels)
    if signature == "serving_bytes":
        size = (count, *(n or 1 for n in user_inputs.specs[0].shape[1:]))
        photos = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
        return {"image_bytes": png_files(photos), **_noise(inputs.specs[len(user_inputs.specs) :], count, None)}
    return _noise(inputs.specs, count, pixels)


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


def _noise(specs: Sequence[ModelInput], count: int, pixels: Pixels | None) -> Arrays:
    """Return noise in the range of images, or else from 0 to 1, where integers are 0; and for texts a word."""
    rng = np.random.default_rng(0)
    images = image_specs(specs) if pixels is not None else []
    shapes = {spec.name: (count, *(n or _UNKNOWN for n in spec.shape[1:])) for spec in specs}
    return {
        spec.name: np.full(shapes[spec.name], b"word", object)
        if spec.dtype == "string"
        else _numbers(rng.uniform(0, 1, shapes[spec.name]), spec, pixels if spec in images else None)
        for spec in specs
    }


def _numbers(noise: np.ndarray, spec: ModelInput, pixels: Pixels | None) -> np.ndarray:
    """Return noise from 0 to 1 as what an input takes."""
    return noise.astype(spec.dtype) if pixels is None else np.asarray(pixels.scale(255 * noise, spec.dtype))
