"""The digits and the network that reads them, trained once for all tests of a process."""

from __future__ import annotations

import functools
from typing import Any

import keras

from visualcnn_tf.data.digits import Digits, load_digits, train_cnn

#: Everything in the network that has positions, in order.
LAYERS = ("conv1", "conv2", "pool", "conv3")


@functools.cache
def digits() -> Digits:
    return load_digits()


@functools.cache
def digits_cnn() -> Any:
    return train_cnn(digits(), epochs=2)


def functional(model: Any) -> Any:
    """The same network as a functional model over the same layers: tf-keras-vis fails on a Keras 3 Sequential."""
    return keras.Model(model.inputs, model.outputs)
