"""The one Keras backend that this package works on."""

from __future__ import annotations

import keras

from visualcnn_tf.errors import IncompatibleModelError


def check_backend() -> None:
    """Raise unless Keras runs on TensorFlow."""
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise IncompatibleModelError(
            f"`keras` must run on its TensorFlow backend. Received: the backend {backend!r}. "
            "Set the environment variable KERAS_BACKEND=tensorflow before Keras is imported."
        )
