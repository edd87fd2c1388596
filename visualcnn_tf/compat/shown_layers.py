"""The layers that ``Visualizer`` shows."""

from __future__ import annotations

import keras

from visualcnn_tf._attach import check_model
from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.introspect.named_layers import named_layers


def shown_layers(model: keras.Model) -> list[keras.Layer]:
    """Return the convolution and pooling layers of a model, whether small or not."""
    check_model(model)
    layers = [
        layer
        for layer in named_layers(model).values()
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.MaxPooling2D))
    ]
    if not layers:
        raise IncompatibleModelError(
            f"`model` must have a Conv2D or MaxPooling2D layer. Received: {model.name!r}, which has none. "
            "`attach` shows other layers, too."
        )
    if any(layer.data_format == "channels_first" for layer in layers):
        raise IncompatibleModelError(
            f"`model` must have its channels last. Received: {model.name!r}, which has layers with "
            "data_format='channels_first'. `attach` shows them, too."
        )
    return layers
