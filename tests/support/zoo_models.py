"""Architectures of keras.applications with random weights whose activations are as lively as those of trained ones."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

import visualcnn_tf as vc

#: Where 96×96 is less than an architecture takes.
SIZES = {"InceptionV3": 139}
_BATCH = 16


def settled(name: str, images: int = 3) -> tuple[Any, np.ndarray]:
    """A model, and some images for it.

    Batch normalization gets the statistics of these images: with those that it starts with, signals fade in deep
    networks until all maps, gradients and predictions are constant.
    """
    keras.backend.clear_session()  # so that automatic layer names start at zero
    keras.utils.set_random_seed(0)
    size = SIZES.get(name, 96)
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
    rough = np.random.default_rng(0).uniform(0, 255, (_BATCH, 12, 12, 3))
    x = tf.image.resize(rough, (size, size), "bicubic").numpy()
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(x, training=True)
    return model, x[:images]


def fitted(name: str) -> tuple[Any, np.ndarray]:
    """A settled model whose last layer tells these images apart, as a trained one's does, and some of them.

    A random last layer weighs its features without regard to them. They cancel out in what is left for a class, and
    rounding is large beside it.
    """
    model, x = settled(name, _BATCH)
    if isinstance(model.layers[-1], keras.layers.Dense):
        labels = np.eye(10)[np.arange(_BATCH) % 10]
        features = keras.Model(model.input, model.layers[-2].output)(x).numpy().astype(np.float64)
        features -= (mean := features.mean(0))
        # The nearest class mean, with logits that are apart by 8.
        weights = features.T @ (labels / labels.sum(0))
        weights *= 8 / np.square(weights).sum(0).mean()
        model.layers[-1].set_weights([weights.astype(np.float32), (-mean @ weights).astype(np.float32)])
        assert (model(x).numpy().argmax(1) == labels.argmax(1)).mean() > 0.8
    return model, x[:3]


def last_map(model: Any) -> str:
    [tap] = vc.attach(model, "last").taps
    return tap.path


def middle_map(model: Any) -> str:
    """At a depth where resolutions change: that of the stage in the middle."""
    taps = vc.attach(model, "stages").taps
    return taps[(len(taps) - 1) // 2].path
