"""The algorithm of the earlier package ("the seed"), re-implemented so that its time can be compared.

It explains one image at a time. Every layer is run eagerly, one after the other. Of each Conv2D and MaxPooling2D
layer's feature maps, the mean over channels of ``|A_k - mean over space of A_k|`` is summed up pixel by pixel in
Python, with an exact mean from the module ``statistics``, scaled to [0, 1], and rounded to four decimals. The map is
then doubled or tripled bilinearly as long as it stays within the image, and the rest of the way is made by a chain
of freshly, randomly initialized 2×2 transposed convolutions, each a pixel larger: there the seed's heatmap is noise.
(28 and 14 pixels, as in the seed's own example, need no such step.) At last it is scaled to [0, 1] again.

The loops and the chain are what takes the seed's time, so they stay as they are. Left out are the blurred images
that the seed computes on the side, which makes it a little faster here than it was.
"""

from __future__ import annotations

import statistics
from typing import Any

import keras
import numpy as np

_SHOWN = (keras.layers.Conv2D, keras.layers.MaxPooling2D)
_ENLARGERS = [keras.layers.UpSampling2D(factor, interpolation="bilinear") for factor in (2, 3)]


def heatmaps(model: keras.Model, image: np.ndarray) -> list[np.ndarray]:
    """One heatmap ``(H, W)`` for each Conv2D and MaxPooling2D layer.

    Args:
        model: a plain stack of layers.
        image: one square image, ``(H, W, C)``.
    """
    outputs = image[np.newaxis]
    maps = []
    for layer in model.layers:
        outputs = layer(outputs)
        if type(layer) in _SHOWN:
            maps.append(_heatmap(np.array(outputs)[0], image.shape[:2]))
    return maps


def _heatmap(activations: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    importances = np.round(_scaled(_mean_deviation(activations)), 4)
    enlarged = _enlarge(importances[np.newaxis, :, :, np.newaxis], size)
    return np.squeeze(_scaled(_pad_by_noise(enlarged, size)))


def _mean_deviation(activations: np.ndarray) -> np.ndarray:
    """``(h, w)`` from ``(h, w, C)``, pixel by pixel."""
    height, width, channels = activations.shape
    total = np.zeros((height, width))
    for k in range(channels):
        channel = activations[..., k]
        deviation = np.abs(channel - statistics.mean(channel.flatten()))
        for i in range(height):
            for j in range(width):
                total[i][j] += deviation[i][j]
    return total / channels


def _scaled(values: Any) -> np.ndarray:
    """To [0, 1]; NaN for a constant map, as in the seed."""
    return (values - np.min(values)) / (np.max(values) - np.min(values))


def _enlarge(maps: Any, size: tuple[int, ...]) -> Any:
    """Twice or three times as large, whichever comes nearer to the size, as often as it fits in."""
    while True:
        larger = [np.array(enlarger(maps)) for enlarger in _ENLARGERS]
        fitting = [candidate for candidate in larger if _missing(candidate, size) >= 0]
        if not fitting:
            return maps
        maps = min(fitting, key=lambda candidate: _missing(candidate, size))


def _pad_by_noise(maps: Any, size: tuple[int, ...]) -> Any:
    while (missing := _missing(maps, size)) != 0:
        if missing < 0:
            raise ValueError(f"The seed never ends on an image of {size} with maps of {tuple(maps.shape[1:3])}.")
        maps = keras.layers.Conv2DTranspose(1, 2)(maps)
    return maps


def _missing(maps: Any, size: tuple[int, ...]) -> int:
    """The seed's measure of how much too small maps ``(1, h, w, 1)`` are; zero when they are large enough."""
    return (size[0] - maps.shape[1]) ** 3 + (size[1] - maps.shape[2]) ** 3
