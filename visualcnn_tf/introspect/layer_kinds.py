"""Layer classes by what they do to feature maps."""

from __future__ import annotations

import keras

from visualcnn_tf.introspect.operation_layers import (
    BORDER_TYPES,
    MOVING_TYPES,
    NORMALIZATION_OPERATIONS,
    SCALING_TYPES,
    GlobalPooling,
    LocalPooling,
    Product,
    WeightedConvolution,
)

_DIMENSIONS = ("1D", "2D", "3D")


def _classes(*names: str) -> tuple[type[keras.Layer], ...]:
    """Return the classes ``keras.layers.<name>`` of one, two and three dimensions that this Keras has."""
    every = [name.format(dimension) for name in names for dimension in _DIMENSIONS]
    return tuple({getattr(keras.layers, name) for name in every if hasattr(keras.layers, name)})


#: Convolutional recurrent layers.
CONV_LSTM_LAYERS = _classes("ConvLSTM{}")
_WEIGHTED_CONV_LAYERS = (
    *_classes("Conv{}", "Conv{}Transpose", "DepthwiseConv{}", "SeparableConv{}"),
    *CONV_LSTM_LAYERS,
    WeightedConvolution,
)
#: Convolutions and local pooling.
CONV_LAYERS = (
    *_WEIGHTED_CONV_LAYERS,
    *_classes("MaxPooling{}", "AveragePooling{}", "AdaptiveMaxPooling{}", "AdaptiveAveragePooling{}"),
    LocalPooling,
)
#: Pooling over all positions.
GLOBAL_POOLING_LAYERS = (*_classes("GlobalAveragePooling{}", "GlobalMaxPooling{}"), GlobalPooling)
#: Layers whose output channels are weighted sums of the input's.
PROJECTIONS = (*_WEIGHTED_CONV_LAYERS, keras.layers.Dense, keras.layers.EinsumDense, Product)
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
    keras.layers.Identity,
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
# Operations go by name, because Keras's functions, such as `keras.ops.relu` in a functional model, have no public
# classes.
#: Names of operations that work number by number.
ACTIVATIONS = frozenset(
    [
        *("ELU", "LeakyReLU", "PReLU", "ReLU", "Celu", "Elu", "Gelu", "HardSigmoid", "HardSilu", "HardTanh"),
        *("LeakyRelu", "LogSigmoid", "Relu", "Relu6", "Selu", "Sigmoid", "Silu", "Softplus", "Softsign", "Tanh"),
    ]
)
#: Names of layers that normalize.
NORMALIZATIONS = frozenset(
    ["BatchNormalization", "GroupNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization"]
).union(NORMALIZATION_OPERATIONS)
#: Names of operations that add or remove a border.
BORDER_OPERATIONS = frozenset(["Pad", "PadImages", "CropImages"]) | BORDER_TYPES
#: Names of operations that only move, repeat or leave out numbers.
MOVING_OPERATIONS = frozenset(
    [
        *("BroadcastTo", "Cast", "Copy", "ExpandDims", "Flip", "GetItem", "Moveaxis", "Ravel", "Rearrange", "Repeat"),
        *("Reshape", "Resize", "Roll", "Rot90", "Slice", "Squeeze", "StopGradient", "Swapaxes", "Take", "Tile"),
        *("Transpose", "DepthToSpace", "SpaceToDepth"),
        *BORDER_OPERATIONS,
        *MOVING_TYPES,
    ]
)
#: Names of operations that, with a constant as the other argument, only scale or shift numbers.
SCALING_OPERATIONS = frozenset(["Add", "Divide", "Multiply", "Negative", "Subtract", "TrueDivide"]).union(SCALING_TYPES)
_SOFTMAXES = frozenset(["softmax", "logsoftmax", "sparsemax"])
#: Names of activations, as :func:`activation_name` returns them, that bring a score into the range of a prediction.
PREDICTING_ACTIVATIONS = _SOFTMAXES | {
    *("sigmoid", "hardsigmoid", "logsigmoid", "sparsesigmoid", "tanh", "hardtanh"),
    *("softplus", "exponential", "exp"),
}


def activation_name(layer: keras.Operation) -> str:
    """Return the activation that a layer is or ends in, ``"hardsigmoid"``, ``"linear"``, or "" for other layers.

    Example:
        >>> activation_name(keras.layers.Conv2D(2, 3, activation="log_softmax"))
        'logsoftmax'
        >>> activation_name(keras.layers.ReLU())
        'relu'
    """
    name = type(layer).__name__
    if isinstance(layer, (*PROJECTIONS, keras.layers.Activation)):
        function = getattr(layer, "activation", None)
        name = "linear" if function is None else getattr(function, "__name__", type(function).__name__)
    elif name not in ACTIVATIONS and _plain(name) not in PREDICTING_ACTIVATIONS:
        return ""
    return _plain(name)


def is_softmax(name: str) -> bool:
    """Return whether the name of an activation is that of a softmax, over classes."""
    return name in _SOFTMAXES


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
