"""Which operations of a graph are parts of a normalization over channels: they only rescale the features of others."""

from __future__ import annotations

from collections.abc import Sequence

from visualcnn_tf.graphs.analysis import Analysis
from visualcnn_tf.graphs.nodes import Ref, data_inputs
from visualcnn_tf.introspect.operation_layers import NORMALIZATION_OPERATIONS

_SCALES = frozenset(["Rsqrt", "Sqrt"])
_MULTIPLYING = frozenset(["Mul", "RealDiv"])
_MOVING = frozenset(["ExpandDims", "Reshape", "Squeeze", "Transpose"])
_FOLLOWING = _MOVING | {"Add", "AddV2", "Mul", "Neg", "RealDiv", "Sub"}


class Normalizations:
    """The operations of layer normalizations and the like, from their scale to their end.

    The scale, ``1/√(variance + ε)``, is one number for all channels of a position. What it multiplies, and what is
    computed of that and of weights alone, is normalized. Keras 2 lets a batch normalization with the statistics of the
    batch, over which it lays the positions, do the same.

    Args:
        analysis: of the graph.

    Attributes:
        names: the names of the operations.
        ends: of the last operation of each normalization, what is normalized.
    """

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._scales: set[Ref] = set()
        self._sources: dict[Ref, Ref] = {}  # of what is normalized, what it is made of
        for name, node in analysis.nodes.items():
            read = analysis.features_read(name)
            if read and (_is_scale(analysis, name) or (node.op in _MULTIPLYING and self._scales.issuperset(read))):
                self._scales.add((name, 0))
            elif read:
                self._follow(name, read)
        self.names = frozenset(name for name, _ in self._scales | self._sources.keys())
        self.ends = {ref[0]: source for ref, source in self._sources.items() if self._is_end(ref)}

    def _follow(self, name: str, read: Sequence[Ref]) -> None:
        """Note what an operation normalizes, if it does, or passes on of that."""
        kind = self._analysis.nodes[name].op
        multiplied = [ref for ref in read if ref not in self._scales]
        if kind in _MULTIPLYING and len(multiplied) < len(read):
            self._sources[name, 0] = multiplied[0]
        elif _is_training(self._analysis, name):
            self._sources[name, 0] = self._before_moves(read[0])
        elif kind in _FOLLOWING and self._sources.keys() >= set(read):
            # The mean is normalized, too, and subtracted: it has one channel.
            sources = [self._sources[ref] for ref in read]
            self._sources[name, 0] = next((ref for ref in sources if self._has_channels(ref)), sources[0])

    def _before_moves(self, ref: Ref) -> Ref:
        """Return the tensor that others only move."""
        while self._analysis.nodes[ref[0]].op in _MOVING:
            ref = data_inputs(self._analysis.nodes[ref[0]])[0]
        return ref

    def _has_channels(self, ref: Ref) -> bool:
        return bool(self._analysis.tensor(ref).shape[-1:] != [1])

    def _is_end(self, ref: Ref) -> bool:
        return not all((reader, 0) in self._sources for reader in self._analysis.readers.get(ref, ()))


def _is_scale(analysis: Analysis, name: str) -> bool:
    """Return whether an operation returns one number for all channels of a position."""
    shape = analysis.tensor((name, 0)).shape
    return analysis.nodes[name].op in _SCALES and bool(shape.rank and shape.rank > 2 and shape[-1] == 1)


def _is_training(analysis: Analysis, name: str) -> bool:
    """Return whether an operation is a batch normalization with the statistics of the batch."""
    node = analysis.nodes[name]
    return node.op in NORMALIZATION_OPERATIONS and ("is_training" not in node.attr or node.attr["is_training"].b)
