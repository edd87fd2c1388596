"""Heatmaps without a library: a model of the tapped layers, ``predict``, and NumPy and SciPy for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from scipy import ndimage


class ByHand:
    """Compute ``deviation`` of some layers, enlarged to the input's size and scaled to [0, 1].

    Args:
        model: The network.
        paths: The names of the layers.
    """

    def __init__(self, model: keras.Model, paths: Sequence[str]) -> None:
        outputs = [model.get_layer(path).output for path in paths]
        self._model = keras.Model(model.inputs, [*model.outputs, *outputs])

    def predict(self, data: Any, edge: int, batch_size: int | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the predictions, and heatmaps ``(N, edge, edge)`` of each layer."""
        predictions, *maps = self._model.predict(data, batch_size=batch_size, verbose=0)
        return predictions, [_heatmaps(activations, edge) for activations in maps]


def _heatmaps(activations: np.ndarray, edge: int) -> np.ndarray:
    raw = np.abs(activations - activations.mean((1, 2), keepdims=True)).mean(-1)
    zoom = edge / np.array(raw.shape[1:])
    # Half-pixel centers, and the edge pixel repeated, as in `tf.image.resize`.
    large = ndimage.zoom(raw, (1, *zoom), order=1, mode="nearest", grid_mode=True)
    low, high = large.min((1, 2), keepdims=True), large.max((1, 2), keepdims=True)
    return (large - low) / np.maximum(high - low, 1e-12)
