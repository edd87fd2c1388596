"""Layers that are single operations of a graph without Keras code, by what they do to feature maps.

The name of such a layer is the name of its operation in the graph, and the name of its class the operation's type, so
that the rules that go by the names of Keras's operations cover ``Relu6`` or ``Pad`` as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

#: Types of operations that weigh neighborhoods of maps.
CONVOLUTIONS = frozenset(
    ["Conv2D", "Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInputV2", "DepthwiseConv2dNative"],
)
#: Types of operations that pool neighborhoods of maps.
POOLINGS = frozenset(["AvgPool", "AvgPool3D", "MaxPool", "MaxPool3D", "MaxPoolV2"])
#: Types of operations that multiply matrices: dense layers, where one of the factors is a weight.
PRODUCTS = frozenset(["BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul"])
#: Types of operations that normalize.
NORMALIZATION_OPERATIONS = frozenset(["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"])
#: Types of operations that add or remove a border, beside those that Keras has under the same name.
BORDER_TYPES = frozenset(["MirrorPad", "PadV2"])
#: Types of operations that only move, repeat or leave out numbers, beside those that Keras has under the same name.
MOVING_TYPES = frozenset(
    [
        *("BatchToSpace", "BatchToSpaceND", "Gather", "GatherV2", "ResizeArea", "ResizeBicubic", "ResizeBilinear"),
        *("ResizeNearestNeighbor", "Reverse", "ReverseV2", "ScaleAndTranslate", "SpaceToBatch", "SpaceToBatchND"),
        "StridedSlice",
    ]
)
#: Types of operations that, with a constant as the other argument, only scale or shift numbers.
SCALING_TYPES = frozenset(["AddV2", "BiasAdd", "Div", "Mul", "Neg", "RealDiv", "Sub"])
#: Types of operations that join several tensors.
JOINING_TYPES = frozenset(["ConcatV2", "Pack"])


class OperationLayer(keras.Operation):
    """One operation of a graph, as a layer.

    Args:
        path: the name of the operation; unlike the names of Keras's layers it may hold slashes.
        weights: the names of the tensors that it weighs its input with, none for other operations.
        data_format: where the channels are, None where that is not known.
        strides: of a convolution or pooling, over the spatial axes.
        is_inside: whether it runs inside a loop, a branch or a function, where it is out of reach.

    Attributes:
        normalizes: whether it is part of a normalization over the channels of each position.
        normalized: the path of the layer whose output is normalized, of the last operation of a normalization.
    """

    normalizes: bool = False
    normalized: str = ""

    def __init__(
        self,
        path: str,
        weights: Sequence[str] = (),
        data_format: str | None = None,
        strides: Sequence[int] | None = None,
        is_inside: bool = False,
    ) -> None:
        super().__init__(name="operation")  # Keras allows no slashes
        self.name = path
        self.weights = tuple(weights)
        self.data_format = data_format
        self.strides = None if strides is None else tuple(strides)
        self.is_inside = is_inside

    def call(self, *inputs: Any, run: Callable[[], Any]) -> Any:
        """Return what ``run`` computes in the current graph.

        Args:
            *inputs: the tensors that the operation reads, for those that watch it.
            run: computes the operation.
        """
        return run()


class WeightedConvolution(OperationLayer):
    """A convolution."""


class LocalPooling(OperationLayer):
    """Pooling of neighborhoods."""


class GlobalPooling(OperationLayer):
    """Pooling over all positions.

    Attributes:
        averages: whether it returns the mean, not the maximum.
        keepdims: whether it returns a map of one position.
    """

    averages: bool = False
    keepdims: bool = False


class Product(OperationLayer):
    """A product with a matrix of weights."""
