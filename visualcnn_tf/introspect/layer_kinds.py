"""Layer classes by what they do to feature maps."""

from __future__ import annotations

import keras

_DIMENSIONS = ("1D", "2D", "3D")


def _classes(*names: str) -> tuple[type[keras.Layer], ...]:
    """Return the classes ``keras.layers.<name>`` of one, two and three dimensions that this Keras has."""
    every = [name.format(dimension) for name in names for dimension in _DIMENSIONS]
    return tuple({getattr(keras.layers, name) for name in every if hasattr(keras.layers, name)})


#: Convolutions and local pooling.
CONV_LAYERS = _classes(
    "Conv{}",
    "Conv{}Transpose",
    "DepthwiseConv{}",
    "SeparableConv{}",
    "MaxPooling{}",
    "AveragePooling{}",
    "AdaptiveMaxPooling{}",
    "AdaptiveAveragePooling{}",
)
#: Layers that add or remove a border.
BORDER_LAYERS = _classes("ZeroPadding{}", "Cropping{}")
#: Layers that only move or rescale the features of others. A layer normalization makes the channels at each position
#: sum to the same value, so that a mean over channels would be constant.
RESHAPING_LAYERS = (
    *BORDER_LAYERS,
    *_classes("UpSampling{}", "SpatialDropout{}"),
    keras.layers.LayerNormalization,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Resizing,
    keras.layers.Rescaling,
    keras.layers.Normalization,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.CenterCrop,
)
#: Layers whose inner axes are heads and tokens, not positions in the input.
ATTENTION_LAYERS = (
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
)
#: Names of operations that work number by number. By name, because Keras's functions, such as `keras.ops.relu` in a
#: functional model, have no public classes.
ACTIVATIONS = frozenset(
    [
        *("ELU", "LeakyReLU", "PReLU", "ReLU", "Celu", "Elu", "Gelu", "HardSigmoid", "HardSilu", "HardTanh"),
        *("LeakyRelu", "LogSigmoid", "Relu", "Relu6", "Selu", "Sigmoid", "Silu", "Softplus", "Softsign", "Tanh"),
    ]
)
