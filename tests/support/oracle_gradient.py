"""The slow, obvious version of the methods that explain a class, in NumPy float64: what the tests compare with.

Nothing here imports the package. A fusion takes one image's feature maps ``A`` and gradients ``G``, ``(h, w, C)`` or
with another number of spatial axes. A method with a replay takes one image's ``A`` and runs a model once for each
change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from support import oracle

# --- activations and gradients to one map ---


def gradcam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(g[..., k].mean() * a[..., k] for k in range(a.shape[-1]))


def gradcam_plus_plus(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(sum(_plus_plus_shares(a[..., k], g[..., k])) * a[..., k] for k in range(a.shape[-1]))


def _plus_plus_shares(channel: np.ndarray, gradients: np.ndarray) -> list[float]:
    """What each position adds to the weight of a channel."""
    shares = []
    for gradient in gradients.ravel():
        denominator = 2 * gradient**2 + gradient**3 * channel.sum()
        terms = 2 * gradient**2 + abs(gradient) ** 3 * abs(channel).sum()
        # A denominator that is rounding alone is none.
        alpha = gradient**2 / denominator if abs(denominator) > oracle.CANCELED * terms else 0.0
        shares.append(alpha * max(gradient, 0.0))
    return shares


def hirescam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(g[..., k] * a[..., k] for k in range(a.shape[-1]))


def layercam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(np.maximum(g[..., k], 0) * a[..., k] for k in range(a.shape[-1]))


def xgradcam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    out = np.zeros(a.shape[:-1])
    for k in range(a.shape[-1]):
        total = a[..., k].sum()
        # A sum that is rounding alone is no sum.
        if abs(total) > oracle.CANCELED * abs(a[..., k]).sum():
            out += (g[..., k] * a[..., k]).sum() / total * a[..., k]
    return out


def eigengradcam(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return oracle.eigen(g * a)


FUSIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plus_plus,
    "hirescam": hirescam,
    "layercam": layercam,
    "xgradcam": xgradcam,
    "eigengradcam": eigengradcam,
}


# --- the sum of the magnitudes of the terms that each value is the sum of ---


def gradcam_magnitudes(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    return sum(abs(g[..., k]).mean() * abs(a[..., k]) for k in range(a.shape[-1]))


def gradcam_plus_plus_magnitudes(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    shares = [_plus_plus_shares(a[..., k], g[..., k]) for k in range(a.shape[-1])]
    return sum(sum(map(abs, each)) * abs(a[..., k]) for k, each in enumerate(shares))


def xgradcam_magnitudes(a: np.ndarray, g: np.ndarray) -> np.ndarray:
    out = np.zeros(a.shape[:-1])
    for k in range(a.shape[-1]):
        total = abs(a[..., k].sum())
        if total > oracle.CANCELED * abs(a[..., k]).sum():
            out += abs(g[..., k] * a[..., k]).sum() / total * abs(a[..., k])
    return out


MAGNITUDES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "gradcam": gradcam_magnitudes,
    "gradcam++": gradcam_plus_plus_magnitudes,
    "hirescam": lambda a, g: hirescam(abs(a), abs(g)),
    "layercam": lambda a, g: layercam(abs(a), g),
    "xgradcam": xgradcam_magnitudes,
}


def fuse(activations: Any, gradients: Any, method: str, relu: bool = True) -> np.ndarray:
    """``(B, h, w)`` from two ``(B, h, w, C)``; zeros for an image with a NaN or an infinity in either."""
    activations, gradients = (np.asarray(each).astype(np.float64) for each in (activations, gradients))
    out = np.zeros(activations.shape[:-1])
    for b, (a, g) in enumerate(zip(activations, gradients, strict=True)):
        if np.isfinite(a).all() and np.isfinite(g).all():
            out[b] = FUSIONS[method](a, g)
            if method in MAGNITUDES:
                out[b] = oracle.without_rounding(out[b], MAGNITUDES[method](a, g))
    return np.maximum(out, 0) if relu else out


def heatmap(
    activations: Any,
    gradients: Any,
    method: str,
    size: Any = None,
    interpolation: str = "bilinear",
    normalize: Any = "minmax",
    relu: bool = True,
) -> np.ndarray:
    """Fused, resized, normalized."""
    maps = fuse(activations, gradients, method, relu)
    return finished(maps, size, interpolation, normalize)


def finished(maps: np.ndarray, size: Any = None, interpolation: str = "bilinear", normalize: Any = "minmax") -> Any:
    """Resized and normalized."""
    return oracle.normalized(maps if size is None else oracle.resize(maps, size, interpolation), normalize)


# --- running the model again: ``score`` takes one image's changed feature maps, or its changed image, to a number ---

Score = Callable[[np.ndarray], float]


def reciprocam(a: np.ndarray, score: Score) -> np.ndarray:
    out = np.zeros(a.shape[:-1])
    for position in np.ndindex(out.shape):
        mask = np.zeros(out.shape)
        for other in np.ndindex(out.shape):
            distances = [abs(i - j) for i, j in zip(position, other, strict=True)]
            mask[other] = np.prod([{0: 0.5, 1: 0.25}.get(distance, 0.0) for distance in distances])
        out[position] = score(a * mask[..., None])
    return out


def scorecam(a: np.ndarray, score: Score, image: np.ndarray, channels: Any = None) -> np.ndarray:
    """``image`` is ``(H, W, c)``."""
    channels = range(a.shape[-1]) if channels is None else channels
    scores = []
    for k in channels:
        mask = finished(a[None, ..., k], image.shape[:-1])[0]
        scores.append(score(image * mask[..., None]))
    powers = np.exp(np.array(scores) - max(scores))
    out = sum(w * a[..., k] for w, k in zip(powers / powers.sum(), channels, strict=True))
    return np.maximum(out, 0)


def ablationcam(a: np.ndarray, score: Score, channels: Any = None) -> np.ndarray:
    out = np.zeros(a.shape[:-1])
    whole = score(a)
    for k in range(a.shape[-1]) if channels is None else channels:
        without = a.copy()
        without[..., k] = 0
        out += (whole - score(without)) / (abs(whole) or 1.0) * a[..., k]
    return np.maximum(out, 0)


def most_varied(a: np.ndarray, count: int) -> list[int]:
    """The channels of one image that vary most."""
    return list(np.argsort([-a[..., k].var() for k in range(a.shape[-1])], kind="stable")[:count])
