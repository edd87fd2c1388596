"""Small segmentation models whose gradients are known: the score of a mask is linear in the tapped maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from support import oracle_gradient
from support.model_kinds import images

SPACE = (10, 8)
X = images(4, *SPACE, 2)


def segmenter(
    *last: Any, classes: int = 3, activation: Any = None, channels: int = 2, strides: int = 1, dtype: str = "float32"
) -> Any:
    """Maps, and a convolution 1 × 1 that makes the logits; then other layers."""
    keras.utils.set_random_seed(7)
    image = keras.Input((*SPACE, channels), name="image")
    maps = L.Conv2D(5, 3, strides, padding="same", activation="relu", name="maps", dtype=dtype)(image)
    x = L.Conv2D(classes, 1, activation=activation, name="logits", dtype=dtype)(maps)
    for layer in last:
        x = layer(x)
    return keras.Model(image, x)


def pixels_of(output: Any, k: int, exclusive: bool = True) -> np.ndarray:
    """Which pixels of an output (B, H, W, K) are predicted as a class."""
    output = np.asarray(output, np.float64)
    if output.shape[-1] == 1:
        return (output[..., 0] > 0.5) == bool(k)
    return output.argmax(-1) == k if exclusive else output[..., k] > 0.5


def ranked(output: Any, exclusive: bool = True) -> np.ndarray:
    """The classes of each image, those with most pixels first, (B, K)."""
    count = max(2, np.shape(output)[-1])
    counts = np.stack([pixels_of(output, k, exclusive).sum((1, 2)) for k in range(count)], 1)
    return np.argsort(-counts, 1, kind="stable")


def seed_of(weights: np.ndarray, classes: Sequence[int], units: int) -> np.ndarray:
    """The derivative of the score by the logits (B, H, W, units); one unit speaks for class 1 and against class 0."""
    seed = np.zeros((*weights.shape, units))
    for b, k in enumerate(classes):
        if k >= 0:
            seed[b, ..., k if units > 1 else 0] = weights[b] * (2 * k - 1 if units == 1 else 1)
    return seed


def raw_map(model: Any, x: Any, weights: np.ndarray, classes: Sequence[int], method: str = "hirescam") -> np.ndarray:
    """The map of ``"maps"``, not resized, with negative values, for weights (B, H, W) of the logits of classes."""
    a = model.get_layer("maps")(x).numpy().astype(np.float64)
    kernel = model.get_layer("logits").kernel.numpy().astype(np.float64)[0, 0]
    g = seed_of(weights, classes, kernel.shape[1]) @ kernel.T
    return oracle_gradient.fuse(a, g, method, relu=False)


def raw(model: Any, method: Any = None, **options: Any) -> Any:
    """The model with raw maps of ``"maps"``."""
    method = vc.methods.HiResCAM(relu=False) if method is None else method
    return vc.attach(model, "maps", method=method, size=None, normalize=None, **options)
