"""Which operations of a graph are parts of a normalization over channels: they only rescale the features of others."""

from __future__ import annotations

from visualcnn_tf.graphs.analysis import Analysis
from visualcnn_tf.graphs.nodes import Ref
from visualcnn_tf.introspect.operation_layers import NORMALIZATION_OPERATIONS

_SCALES = frozenset(["Rsqrt", "Sqrt"])
_MULTIPLYING = frozenset(["Mul", "RealDiv"])
_FOLLOWING = frozenset(
    ["Add", "AddV2", "ExpandDims", "Mul", "Neg", "RealDiv", "Reshape", "Squeeze", "Sub", "Transpose"],
)


def normalizing(analysis: Analysis) -> frozenset[str]:
    """Return the names of the operations of layer normalizations and the like, from their scale to their end.

    The scale, ``1/√(variance + ε)``, is one number for all channels of a position. What it multiplies, and what is
    computed of that and of weights alone, is normalized. Keras 2 lets a batch normalization with the statistics of the
    batch, over which it lays the positions, do the same.
    """
    scales: set[Ref] = set()
    normalized: set[Ref] = set()
    for name, node in analysis.nodes.items():
        read = analysis.features_read(name)
        multiplies = node.op in _MULTIPLYING and not scales.isdisjoint(read)
        if not read:
            continue
        if _is_scale(analysis, name) or (multiplies and scales.issuperset(read)):
            scales.add((name, 0))
        elif multiplies or _is_training(analysis, name) or (node.op in _FOLLOWING and normalized.issuperset(read)):
            normalized.add((name, 0))
    return frozenset(name for name, _ in scales | normalized)


def _is_scale(analysis: Analysis, name: str) -> bool:
    """Return whether an operation returns one number for all channels of a position."""
    shape = analysis.tensor((name, 0)).shape
    return analysis.nodes[name].op in _SCALES and bool(shape.rank and shape.rank > 2 and shape[-1] == 1)


def _is_training(analysis: Analysis, name: str) -> bool:
    """Return whether an operation is a batch normalization with the statistics of the batch."""
    node = analysis.nodes[name]
    return node.op in NORMALIZATION_OPERATIONS and ("is_training" not in node.attr or node.attr["is_training"].b)
