"""The algorithm of the earlier package ``visualcnn``, reimplemented to compare its time.

It explains one image at a time and runs the layers eagerly, one after the other. For each Conv2D and MaxPooling2D
layer, the mean over channels of ``|A_k - mean over positions of A_k|`` is computed pixel by pixel in Python, with an
exact mean from the module ``statistics``, scaled to [0, 1] and rounded to four decimals. The map is doubled or tripled
bilinearly as long as it stays within the image. What is then missing is added by randomly initialized 2×2 transposed
convolutions, each of which makes the map one pixel larger: such a heatmap is noise. (The 28 and 14 pixels of the
earlier package's example need no such step.) The result is scaled to [0, 1] again.

The loops and the convolutions take most of the time, so they are kept as they were. The blurred images that the
earlier package also computes are left out, which makes this version slightly faster.
"""

from __future__ import annotations

import statistics
from typing import Any

import keras
import numpy as np

_EXPLAINED = (keras.layers.Conv2D, keras.layers.MaxPooling2D)
_ENLARGERS = [keras.layers.UpSampling2D(factor, interpolation="bilinear") for factor in (2, 3)]


def heatmaps(model: keras.Model, image: np.ndarray) -> list[np.ndarray]:
    """Return one heatmap ``(H, W)`` for each Conv2D and MaxPooling2D layer.

    Args:
        model: A Sequential model.
        image: One square image ``(H, W, C)``.
    """
    outputs = image[np.newaxis]
    maps = []
    for layer in model.layers:
        outputs = layer(outputs)
        if type(layer) in _EXPLAINED:
            maps.append(_heatmap(np.array(outputs)[0], image.shape[:2]))
    return maps


def _heatmap(activations: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    importances = np.round(_scaled(_mean_deviation(activations)), 4)
    enlarged = _enlarge(importances[np.newaxis, :, :, np.newaxis], size)
    return np.squeeze(_scaled(_pad_by_noise(enlarged, size)))


def _mean_deviation(activations: np.ndarray) -> np.ndarray:
    """Fuse ``(h, w, C)`` to ``(h, w)``, pixel by pixel."""
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
    """Scale to [0, 1]; a constant map becomes NaN, as in the earlier package."""
    return (values - np.min(values)) / (np.max(values) - np.min(values))


def _enlarge(maps: Any, size: tuple[int, ...]) -> Any:
    """Double or triple maps as long as they fit, each time by the factor that comes closer to the size."""
    while True:
        larger = [np.array(enlarger(maps)) for enlarger in _ENLARGERS]
        fitting = [candidate for candidate in larger if _missing(candidate, size) >= 0]
        if not fitting:
            return maps
        maps = min(fitting, key=lambda candidate: _missing(candidate, size))


def _pad_by_noise(maps: Any, size: tuple[int, ...]) -> Any:
    """Enlarge maps to the size, pixel by pixel, by random convolutions."""
    while (missing := _missing(maps, size)) != 0:
        if missing < 0:
            raise ValueError(
                f"The earlier package never ends on an image of {size} with maps of {tuple(maps.shape[1:3])}."
            )
        maps = keras.layers.Conv2DTranspose(1, 2)(maps)
    return maps


def _missing(maps: Any, size: tuple[int, ...]) -> int:
    """Return how much too small maps ``(1, h, w, 1)`` are, measured as in the earlier package; 0 if large enough."""
    return (size[0] - maps.shape[1]) ** 3 + (size[1] - maps.shape[2]) ** 3
