"""Inputs to try an exported signature with: seeded noise of the right names, shapes and types."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.inputs import ModelInputs

_BATCH = 2
_UNKNOWN = 64  # stands in for a dimension that the model leaves open


def example_inputs(signature: str, inputs: ModelInputs) -> dict[str, Any]:
    """A batch for one signature, of two where its size is open: encoded images, or the model's own inputs by name."""
    rng = np.random.default_rng(0)
    if signature == "serving_bytes":
        height, width, channels = (n or 1 for n in inputs.specs[0].shape[1:])
        sizes = [(height, width), (height + 3, width + 5)]
        images = [rng.integers(0, 256, (*size, channels)).astype(np.uint8) for size in sizes]
        return {"image_bytes": np.array([tf.io.encode_png(image).numpy() for image in images], object)}
    return {
        spec.name: rng.uniform(0, 1, (spec.shape[0] or _BATCH, *(n or _UNKNOWN for n in spec.shape[1:]))).astype(
            spec.dtype
        )
        for spec in inputs.specs
    }
