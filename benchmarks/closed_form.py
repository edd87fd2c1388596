"""What class maps should be where the last feature map goes through global average pooling and one dense layer.

There the logit of class c is ``mean_ij(A)·W_c + b_c``, so its gradient is ``W_c / (h·w)`` at every place. All is
written plainly in NumPy's float64 and reads activations through models of Keras's own: no code of the package is
trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import numpy as np
from scipy import ndimage, special

from benchmarks.checks import enlarged, scaled

#: Weights of channels ``(N,)`` from the logits ``(N, K)`` of the image masked by each of them.
Weigh: TypeAlias = Callable[[np.ndarray], np.ndarray]
#: A map of another size.
Enlarge: TypeAlias = Callable[[np.ndarray, Sequence[int]], np.ndarray]


class LinearHead:
    """A network that ends in global average pooling and a dense layer.

    Args:
        model: the network.
        path: its last feature map.
    """

    def __init__(self, model: keras.Model, path: str) -> None:
        kinds = [type(layer) for layer in model.layers[-2:]]
        if kinds != [keras.layers.GlobalAveragePooling2D, keras.layers.Dense]:
            raise ValueError(f"Only global average pooling and a dense layer are known here. Received: {kinds}.")
        self.features = keras.Model(model.inputs, model.get_layer(path).output)
        self.weights, self.bias = (values.astype(np.float64) for values in model.layers[-1].get_weights())

    def activations(self, images: np.ndarray) -> np.ndarray:
        """``(B, h, w, C)``."""
        return self.features.predict_on_batch(images).astype(np.float64)

    def logits(self, activations: np.ndarray) -> np.ndarray:
        """``(B, K)``."""
        return activations.mean((1, 2)) @ self.weights + self.bias

    def gradcam(self, activations: np.ndarray, of: int) -> np.ndarray:
        """Raw Grad-CAM ``(h, w)`` of the class ``of`` from ``(h, w, C)``."""
        return np.maximum(activations @ self.weights[:, of], 0.0) / activations[..., 0].size

    def reciprocam(self, activations: np.ndarray, of: int) -> np.ndarray:
        """Raw Recipro-CAM, place by place."""
        height, width, _ = activations.shape
        scores = np.empty((height, width))
        for row, column in np.ndindex(height, width):
            left = np.zeros_like(activations)
            for i in range(max(row - 1, 0), min(row + 2, height)):
                for j in range(max(column - 1, 0), min(column + 2, width)):
                    left[i, j] = activations[i, j] / (4 * 2 ** (abs(i - row) + abs(j - column)))
            scores[row, column] = self.logits(left[np.newaxis])[0, of]
        return scores

    def scorecam(
        self, image: np.ndarray, activations: np.ndarray, weigh: Weigh, channels: int, enlarge: Enlarge = enlarged
    ) -> np.ndarray:
        """Raw Score-CAM of the channels that vary most, from the weights that ``weigh`` makes of their logits."""
        chosen = np.argsort(-activations.var((0, 1)))[:channels]
        masks = [scaled(enlarge(activations[..., k], image.shape[:2])) for k in chosen]
        masked = np.stack([image * mask[..., np.newaxis] for mask in masks]).astype(np.float32)
        return np.maximum(activations[..., chosen] @ weigh(self.logits(self.activations(masked))), 0.0)


def over_channels(of: int) -> Weigh:
    """The weights of the paper: the softmax, over channels, of the logit of the class ``of``."""
    return lambda logits: special.softmax(logits[:, of])


def over_classes(of: int) -> Weigh:
    """The weights of tf-keras-vis: the probability of the class ``of``."""
    return lambda logits: special.softmax(logits, axis=1)[:, of]


def corner_to_corner(heatmap: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """``(h, w)`` to a larger size, as tf-keras-vis does it: bilinear, the centers of the corners on each other."""
    factors = [new / old for new, old in zip(size, heatmap.shape, strict=True)]
    resized: np.ndarray = ndimage.zoom(heatmap, factors, order=1, mode="nearest")
    return resized


def heatmaps(
    raw: Callable[[np.ndarray, int], np.ndarray], activations: np.ndarray, classes: Sequence[int], size: Sequence[int]
) -> np.ndarray:
    """The heatmaps ``(B, H, W)``, enlarged and scaled, of the classes of all images."""
    maps = [raw(image, int(k)) for image, k in zip(activations, classes, strict=True)]
    return np.stack([scaled(enlarged(heatmap, size)) for heatmap in maps])
