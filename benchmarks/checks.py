"""Check what is timed: compare it with the bare model and with heatmaps computed plainly in NumPy float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from visualcnn_tf import ExplainedModel

#: How far rounding moves a heatmap: half a step of uint8.
ROUNDING = {"float32": 0.0, "uint8": 0.5 / 255}


class MismatchError(Exception):
    """An output that is timed is wrong, so its time means nothing."""


def difference(what: str, got: Any, want: Any, tolerance: float) -> float:
    """Return the largest absolute difference.

    Raises:
        MismatchError: The shapes differ, or the difference is above the tolerance or NaN.
    """
    got, want = (np.asarray(values).astype(np.float64) for values in (got, want))
    if got.shape != want.shape:
        raise MismatchError(f"{what}: shape {got.shape} instead of {want.shape}.")
    largest = float(np.max(np.abs(got - want)))
    if not largest <= tolerance:
        raise MismatchError(f"{what}: off by {largest:.2g}, allowed {tolerance:.2g}.")
    return largest


def require_variety(what: str, values: Any) -> None:
    """Raise unless values differ between images: otherwise a comparison would miss mixed-up images."""
    spread = float(np.max(np.ptp(np.asarray(values), axis=0)))
    if not spread > 1e-4:
        raise MismatchError(f"{what}: the same for all images but for {spread:.2g}.")


#: The raw map ``(h, w)`` of activations ``(h, w, C)``, as plainly as possible. ``eigen`` is checked elsewhere.
FUSIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "deviation": lambda a: np.abs(a - a.mean((0, 1))).mean(-1),
    "mean": lambda a: a.mean(-1),
    "mean_abs": lambda a: np.abs(a).mean(-1),
    "max": lambda a: a.max(-1),
    "l2": lambda a: np.sqrt(np.square(a).mean(-1)),
    "std": lambda a: a.std(-1),
}


def expected_heatmaps(
    explained: ExplainedModel, image: np.ndarray, method: str = "deviation", enlarge: bool = True
) -> dict[str, np.ndarray]:
    """Return the expected heatmaps ``(H, W)`` of one image ``(H, W, C)`` by output key."""
    found = activations(explained, image)
    return {
        key: expected_heatmap(maps, image.shape[:2] if enlarge else maps.shape[:2], method)
        for key, maps in found.items()
    }


def activations(explained: ExplainedModel, image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the tapped activations ``(h, w, C)`` of one image ``(H, W, C)`` in float64, by output key.

    A plain Keras model computes them, so that the check does not rely on the package.
    """
    model, taps = explained.model, explained.taps
    outputs = [model.get_layer(tap.path).output for tap in taps]
    found = keras.tree.flatten(keras.Model(model.inputs, outputs).predict_on_batch(image[np.newaxis]))
    return {tap.key: maps[0].astype(np.float64) for tap, maps in zip(taps, found, strict=True)}


def expected_heatmap(activations: np.ndarray, size: Sequence[int], method: str = "deviation") -> np.ndarray:
    """Fuse ``(h, w, C)``, enlarge bilinearly with half-pixel centers and scale to [0, 1]."""
    return scaled(enlarged(FUSIONS[method](activations.astype(np.float64)), size))


def scaled(heatmap: np.ndarray) -> np.ndarray:
    """Scale to [0, 1] by minimum and maximum; a constant map becomes zeros."""
    low, high = heatmap.min(), heatmap.max()
    return (heatmap - low) / (high - low) if high > low else np.zeros_like(heatmap)


def enlarged(heatmap: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Enlarge ``(h, w)`` bilinearly with half-pixel centers."""
    for axis in (0, 1):
        heatmap = np.apply_along_axis(_enlarged, axis, heatmap, size[axis])
    return heatmap


def _enlarged(line: np.ndarray, size: int) -> np.ndarray:
    if size < len(line):
        raise ValueError(f"Maps can only be enlarged here. Received: {len(line)} to {size}.")
    positions = (np.arange(size) + 0.5) * len(line) / size - 0.5
    return np.interp(positions, np.arange(len(line)), line)
