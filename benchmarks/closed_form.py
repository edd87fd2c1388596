"""The expected class maps where the last feature map goes through global average pooling and one dense layer.

There the logit of class c is ``mean_ij(A)·W_c + b_c``, so its gradient is ``W_c / (h·w)`` at every position. Everything
is written plainly in NumPy float64, on activations from a plain Keras model, so that nothing relies on the package.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import numpy as np
from scipy import ndimage, special

from benchmarks.checks import enlarged, scaled

#: Computes the weights of channels ``(N,)`` from the logits ``(N, K)`` of the image masked by each channel.
Weigh: TypeAlias = Callable[[np.ndarray], np.ndarray]
#: Resizes a map ``(h, w)``.
Enlarge: TypeAlias = Callable[[np.ndarray, Sequence[int]], np.ndarray]


class LinearHead:
    """A network that ends in global average pooling and a dense layer.

    Args:
        model: The network.
        path: The name of the layer whose output is the last feature map.
    """

    def __init__(self, model: keras.Model, path: str) -> None:
        kinds = [type(layer) for layer in model.layers[-2:]]
        if kinds != [keras.layers.GlobalAveragePooling2D, keras.layers.Dense]:
            raise ValueError(f"The model must end in global average pooling and a dense layer. Received: {kinds}.")
        self.features = keras.Model(model.inputs, model.get_layer(path).output)
        self.weights, self.bias = (values.astype(np.float64) for values in model.layers[-1].get_weights())

    def activations(self, images: np.ndarray) -> np.ndarray:
        """Return the activations ``(B, h, w, C)`` of the last feature map."""
        return self.features.predict_on_batch(images).astype(np.float64)

    def logits(self, activations: np.ndarray) -> np.ndarray:
        """Return the logits ``(B, K)`` of activations."""
        return activations.mean((1, 2)) @ self.weights + self.bias

    def gradcam(self, activations: np.ndarray, class_index: int) -> np.ndarray:
        """Return the raw Grad-CAM ``(h, w)`` of a class from ``(h, w, C)``."""
        return np.maximum(activations @ self.weights[:, class_index], 0.0) / activations[..., 0].size

    def reciprocam(self, activations: np.ndarray, class_index: int) -> np.ndarray:
        """Return the raw Recipro-CAM, position by position."""
        height, width, _ = activations.shape
        scores = np.empty((height, width))
        for row, column in np.ndindex(height, width):
            kept = np.zeros_like(activations)
            for i in range(max(row - 1, 0), min(row + 2, height)):
                for j in range(max(column - 1, 0), min(column + 2, width)):
                    kept[i, j] = activations[i, j] / (4 * 2 ** (abs(i - row) + abs(j - column)))
            scores[row, column] = self.logits(kept[np.newaxis])[0, class_index]
        return scores

    def scorecam(
        self, image: np.ndarray, activations: np.ndarray, weigh: Weigh, channels: int, enlarge: Enlarge = enlarged
    ) -> np.ndarray:
        """Return the raw Score-CAM of the channels that vary most, with the weights that ``weigh`` computes."""
        chosen = np.argsort(-activations.var((0, 1)))[:channels]
        masks = [scaled(enlarge(activations[..., k], image.shape[:2])) for k in chosen]
        masked = np.stack([image * mask[..., np.newaxis] for mask in masks]).astype(np.float32)
        return np.maximum(activations[..., chosen] @ weigh(self.logits(self.activations(masked))), 0.0)


def over_channels(class_index: int) -> Weigh:
    """Return the weights of the paper: the softmax, over channels, of the logit of a class."""
    return lambda logits: special.softmax(logits[:, class_index])


def over_classes(class_index: int) -> Weigh:
    """Return the weights of tf-keras-vis: the probability of a class."""
    return lambda logits: special.softmax(logits, axis=1)[:, class_index]


def corner_to_corner(heatmap: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Enlarge ``(h, w)`` as tf-keras-vis does: bilinear, with the centers of the corner pixels aligned."""
    factors = [new / old for new, old in zip(size, heatmap.shape, strict=True)]
    resized: np.ndarray = ndimage.zoom(heatmap, factors, order=1, mode="nearest")
    return resized


def heatmaps(
    raw: Callable[[np.ndarray, int], np.ndarray], activations: np.ndarray, classes: Sequence[int], size: Sequence[int]
) -> np.ndarray:
    """Return the heatmaps ``(B, H, W)``, enlarged and scaled, of one class for each image."""
    maps = [raw(image, int(k)) for image, k in zip(activations, classes, strict=True)]
    return np.stack([scaled(enlarged(heatmap, size)) for heatmap in maps])
