"""What a model is made of and returns, to compare before and after."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def flat(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(tf.cast(t, tf.float32)) for t in keras.tree.flatten(outputs)]


def footprint(model: Any) -> Any:
    """Everything about a model that attaching must leave as it is."""
    layers = [model, *model._flatten_layers(include_self=False)]
    return [
        (
            id(layer),
            layer.name,
            sorted(set(vars(layer)) - {"predict_function", "_jit_compile"}),
            len(layer._inbound_nodes),
        )
        for layer in layers
    ], [(id(w), w.path) for w in model.weights]
