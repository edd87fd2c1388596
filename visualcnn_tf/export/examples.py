"""Inputs to try an exported signature with: seeded noise of the right names, shapes and types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.inputs import InputSpec, ModelInputs

_BATCH = 2
_UNKNOWN = 64  # stands in for a dimension that the model leaves open


def example_inputs(signature: str, inputs: ModelInputs, own: ModelInputs) -> dict[str, Any]:
    """A batch for one signature, of two where its size is open: encoded images, or the model's own inputs by name.

    Args:
        signature: the signature's name.
        inputs: what the exported model takes.
        own: what the user's model takes, without a class index.
    """
    if signature == "predict":
        return _noise(own.specs)
    if signature == "serving_bytes":
        return {"image_bytes": _pictures(own.specs[0]), **_noise(inputs.specs[len(own.specs) :])}
    return _noise(inputs.specs)


def _pictures(spec: InputSpec) -> np.ndarray:
    rng = np.random.default_rng(0)
    height, width, channels = (n or 1 for n in spec.shape[1:])
    images = [rng.integers(0, 256, (height + more, width + 2 * more, channels)).astype(np.uint8) for more in (0, 3)]
    return np.array([tf.io.encode_png(image).numpy() for image in images], object)


def _noise(specs: Sequence[InputSpec]) -> dict[str, Any]:
    """Numbers from 0 to 1; integers, such as a class index, are 0."""
    rng = np.random.default_rng(0)
    shapes = {spec.name: (spec.shape[0] or _BATCH, *(n or _UNKNOWN for n in spec.shape[1:])) for spec in specs}
    return {spec.name: rng.uniform(0, 1, shapes[spec.name]).astype(spec.dtype) for spec in specs}
