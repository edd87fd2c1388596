"""Small backbones of ``keras_hub``, built from configs, with a head of our own.

``pip install --no-deps keras-hub kagglehub kagglesdk regex pyyaml tokenizers`` leaves TensorFlow as it is.
"""

from __future__ import annotations

import keras
from keras import layers as L  # noqa: N812

from tools.zoo.hub_configs import CONFIGS, SIZE
from tools.zoo.subject import Build, Subject, soft


def backbones() -> dict[str, Build]:
    """Return the backbones by name."""
    return {name: lambda name=name: backbone(name) for name in CONFIGS}


def backbone(name: str) -> Subject:
    """Return a backbone with random weights, followed by pooling and a dense layer."""
    import keras_hub

    body = getattr(keras_hub.models, name)(image_shape=(SIZE, SIZE, 3), **CONFIGS[name])
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = body(image)
    axes = list(range(1, len(x.shape) - 1))
    label = L.Dense(5, activation="softmax", name="label")(keras.ops.mean(x, axes))
    return Subject(keras.Model(image, label, name=name.lower()), soft(SIZE, SIZE, 3))
