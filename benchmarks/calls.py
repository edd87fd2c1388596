"""The ways to call a model that are timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.timing import Contender

BARE = "bare"


def by_predict(model: Any, images: np.ndarray) -> Contender:
    """Return a call of Keras's ``predict``: NumPy arrays in and out, all images in one batch."""
    return lambda: model.predict(images, batch_size=len(images), verbose=0)


def by_function(model: Any, images: np.ndarray) -> Contender:
    """Return a call of the model as a ``tf.function``: tensors in and out."""
    function = tf.function(lambda batch: model(batch, training=False))
    batch = tf.constant(images)

    def call() -> Any:
        outputs = function(batch)
        tf.test.experimental.sync_devices()  # a GPU computes asynchronously
        return outputs

    return call


def to_arrays(explained: Any, images: np.ndarray) -> list[Contender]:
    """Return three calls from an array to a dict of arrays: ``predict``, the direct call and a ``tf.function``."""
    compiled = tf.function(lambda batch: explained(batch, training=False))

    def arrays(call: Callable[[Any], dict[str, Any]]) -> Contender:
        return lambda: {key: np.asarray(value) for key, value in call(images).items()}

    return [
        by_predict(explained, images),
        arrays(explained),
        arrays(lambda batch: compiled(tf.constant(batch))),
    ]
