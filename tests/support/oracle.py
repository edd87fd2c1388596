"""The slow, obvious version of a heatmap, in NumPy float64: what the tests compare with.

Nothing here imports the package. A fusion takes one image, ``(h, w, C)`` or with another number of spatial axes;
all that follows takes batches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

# --- fusions: one image's feature maps to one map ---


def deviation(image: np.ndarray) -> np.ndarray:
    total = np.zeros(image.shape[:-1])
    for k in range(image.shape[-1]):
        channel = image[..., k]
        total += abs(channel - channel.sum() / channel.size)
    return total / image.shape[-1]


def mean(image: np.ndarray) -> np.ndarray:
    return sum(_channels(image)) / image.shape[-1]


def mean_abs(image: np.ndarray) -> np.ndarray:
    return sum(abs(channel) for channel in _channels(image)) / image.shape[-1]


def max_(image: np.ndarray) -> np.ndarray:
    out = np.empty(image.shape[:-1])
    for position in np.ndindex(out.shape):
        out[position] = max(image[position])
    return out


def l2(image: np.ndarray) -> np.ndarray:
    return (sum(channel**2 for channel in _channels(image)) / image.shape[-1]) ** 0.5


def std(image: np.ndarray) -> np.ndarray:
    return np.std(image, axis=-1, ddof=0)


def eigen(image: np.ndarray) -> np.ndarray:
    """Projection on the first right singular vector, signed so that it agrees with the mean activation."""
    matrix = image.reshape(-1, image.shape[-1])
    if not matrix.any():
        return np.zeros(image.shape[:-1])
    _, _, rows = np.linalg.svd(matrix, full_matrices=False)
    projection = matrix @ rows[0]
    if eigen_decider(image, projection) < 0:
        projection = -projection
    return projection.reshape(image.shape[:-1])


def eigen_decider(image: np.ndarray, projection: np.ndarray) -> float:
    """The number whose sign decides: the correlation or, where that is weak, the largest entry."""
    average = image.reshape(-1, image.shape[-1]).mean(1)
    # What varies by less than a millionth of the numbers that it comes from is constant but for rounding.
    if np.ptp(projection) > 1e-6 * abs(projection).max() and np.ptp(average) > 1e-6 * abs(image).max():
        r = float(np.corrcoef(projection, average)[0, 1])
        if abs(r) >= 0.05:
            return r
    return projection[np.argmax(abs(projection))]


def _channels(image: np.ndarray) -> list[np.ndarray]:
    return [image[..., k] for k in range(image.shape[-1])]


FUSIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "deviation": deviation,
    "mean": mean,
    "mean_abs": mean_abs,
    "max": max_,
    "l2": l2,
    "std": std,
    "eigen": eigen,
}


#: A sum of less than this part of the sum of its terms' magnitudes is rounding alone.
CANCELED = 1e-5

#: Of methods whose terms may cancel, the sum of the magnitudes of what each value is the sum of.
MAGNITUDES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "deviation": lambda image: np.array(np.mean([abs(channel.mean()) for channel in _channels(image)])),
    "mean": mean_abs,
    "std": lambda image: abs(mean(image)),
}


def without_rounding(one: np.ndarray, magnitudes: np.ndarray) -> np.ndarray:
    return np.zeros_like(one) if abs(one).max() <= CANCELED * magnitudes.max() else one


def fuse(activations: Any, method: Any) -> np.ndarray:
    """``(B, h, w)`` from ``(B, h, w, C)``, by a name or a function; zeros for an image with a NaN or an infinity."""
    batch = np.asarray(activations).astype(np.float64)
    out = np.zeros(batch.shape[:-1])
    for b, image in enumerate(batch):
        if np.isfinite(image).all():
            out[b] = method(image) if callable(method) else FUSIONS[method](image)
            if method in MAGNITUDES:
                out[b] = without_rounding(out[b], MAGNITUDES[method](image))
    return out


# --- resizing: axis by axis, half-pixel centers ---


def triangle(x: float) -> float:
    return max(0.0, 1 - abs(x))


def keys_cubic(x: float) -> float:
    """Keys's cubic convolution, in the textbook's form with its parameter."""
    a, x = -0.5, abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    if x < 2:
        return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return 0.0


def resize(maps: Any, size: Sequence[int], interpolation: str) -> np.ndarray:
    """``(B, *size)`` from ``(B, h, w)``, any number of spatial axes."""
    maps = np.asarray(maps).astype(np.float64)
    for axis, after in enumerate(size, start=1):
        before = maps.shape[axis]
        if before != after:
            lines = np.moveaxis(maps, axis, 0)
            rows = [_weights(i, before, after, interpolation) for i in range(after)]
            out = [sum(w * lines[j] for j, w in row.items()) for row in rows]
            maps = np.moveaxis(np.array(out), 0, axis)
    return maps


def _weights(i: int, before: int, after: int, interpolation: str) -> dict[int, float]:
    """How much of each old sample goes into new sample ``i``."""
    step = before / after
    if interpolation == "nearest":
        # TensorFlow works the position out in float32, which decides between two neighbors equally near.
        position = np.float32(i + 0.5) * (np.float32(before) / np.float32(after))
        return {math.floor(position): 1.0}
    if interpolation == "area" and step > 1:
        start, end = i * step, (i + 1) * step
        shares = {j: (min(j + 1, end) - max(j, start)) / step for j in range(before)}
        return {j: share for j, share in shares.items() if share > 0}
    kernel = keys_cubic if interpolation == "bicubic" else triangle
    center = (i + 0.5) * step
    # A sample j sits at j + 0.5; an axis that shrinks gets a kernel as much wider (anti-aliasing).
    weights = {j: kernel((j + 0.5 - center) / max(step, 1.0)) for j in range(before)}
    total = sum(weights.values())
    return {j: weight / total for j, weight in weights.items() if weight}


# --- normalizing and casting ---


def normalized(maps: Any, how: Any) -> np.ndarray:
    """Each image for itself."""
    maps = np.asarray(maps).astype(np.float64)
    if how is None:
        return maps
    return np.array([_normalized_one(one, how) for one in maps]).reshape(maps.shape)


def _normalized_one(one: np.ndarray, how: Any) -> np.ndarray:
    if how == "minmax":
        low, high = one.min(), one.max()
        constant = high - low <= 1e-6 * max(abs(low), abs(high))
        too_wide = high - low > float(np.finfo(np.float32).max)
        return np.zeros_like(one) if constant or too_wide else (one - low) / (high - low)
    if how == "max":
        largest = abs(one).max()
        return one / largest if largest > 0 else np.zeros_like(one)
    name, low, high = how
    assert name == "range"
    return np.minimum(1.0, np.maximum(0.0, (one - low) / (high - low)))


def cast(maps: Any, dtype: str) -> np.ndarray:
    maps = np.asarray(maps).astype(np.float64)
    if dtype == "uint8":
        return np.rint(255 * np.minimum(1, np.maximum(0, maps))).astype(np.uint8)
    if dtype == "float16":
        return np.minimum(65504, np.maximum(-65504, maps)).astype(np.float16)
    return maps.astype(np.float32)


# --- several maps into one, and the whole ---


def combine(maps: Sequence[Any], how: str, weights: Sequence[float] | None = None) -> np.ndarray:
    """Not normalized again yet."""
    maps = [np.asarray(one).astype(np.float64) for one in maps]
    weights = [1.0] * len(maps) if weights is None else list(weights)
    out = np.empty(maps[0].shape)
    for position in np.ndindex(out.shape):
        values = [one[position] for one in maps]
        weighted = [w * v for w, v in zip(weights, values, strict=True)]
        if how == "mean":
            out[position] = sum(weighted) / sum(weights)
        elif how == "max":
            out[position] = max(weighted)
        else:
            assert how == "product"
            out[position] = math.prod(abs(v) ** w for w, v in zip(weights, values, strict=True))
    return out


def heatmap(
    activations: Any,
    method: Any = "deviation",
    size: Sequence[int] | None = None,
    interpolation: str = "bilinear",
    normalize: Any = "minmax",
) -> np.ndarray:
    """Fused, resized, normalized: what a heatmap of float32 should be, in float64."""
    maps = fuse(activations, method)
    if size is not None:
        maps = resize(maps, size, interpolation)
    maps = normalized(maps, normalize)
    for b, image in enumerate(np.asarray(activations).astype(np.float64)):
        if not np.isfinite(image).all():
            maps[b] = 0
    return maps


def assert_close(got: Any, want: np.ndarray, tolerance: float = 1e-5, floor: float = 0.0) -> None:
    """Every image's map within ``tolerance`` of its range (zero included), plus ``floor``."""
    got = np.asarray(got).astype(np.float64)
    assert got.shape == want.shape, f"shape {got.shape} instead of {want.shape}"
    assert np.isfinite(got).all()
    for b, (one, truth) in enumerate(zip(got, want, strict=True)):
        allowed = tolerance * (max(truth.max(), 0.0) - min(truth.min(), 0.0)) + floor
        error = abs(one - truth).max()
        assert error <= allowed, f"image {b}: off by {error:.3g}, allowed {allowed:.3g}\n{one}\n{truth}"
