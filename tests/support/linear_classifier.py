"""A convolution and a linear head: the head's kernel is the gradient of a logit, so its maps are known."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from support import oracle_gradient
from support.model_kinds import images

X = images(6, 8, 7, 2)


def classifier(*head: Any) -> Any:
    """The maps of the layer ``"maps"``, flattened, and a head: a dense layer named ``"head"``, and what follows it."""
    features = [L.Conv2D(5, 3, activation="relu", name="maps"), L.Flatten()]
    return keras.Sequential([keras.Input((8, 7, 2), name="image"), *features, *head])


def truth(model: Any, x: Any, classes: Any, sign: Any = 1.0, **options: Any) -> np.ndarray:
    """LayerCAM's heatmaps of ``"maps"`` for one class for each image; a class of -1 gives zeros."""
    a = model.get_layer("maps")(x).numpy()
    kernel = model.get_layer("head").kernel.numpy().T.reshape(-1, *a.shape[1:])
    g = np.stack([0 * a[0] if k < 0 else kernel[k] for k in classes]) * np.reshape(sign, (-1, 1, 1, 1))
    return oracle_gradient.heatmap(a, g, "layercam", (8, 7), **options)


def layercam(model: Any, relu: bool = True, **options: Any) -> Any:
    return vc.attach(model, "maps", method=vc.methods.LayerCAM(relu=relu), **options)
