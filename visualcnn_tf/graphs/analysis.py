"""What is known of each tensor of a graph without running it: type, shape, readers, and whether it holds features."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

import tensorflow as tf

from visualcnn_tf.graphs.nodes import Nodes, Ref, data_inputs, name_of
from visualcnn_tf.introspect.upstream import READING_SHAPES


class Analysis:
    """A graph, imported once to learn the shapes of its tensors.

    Args:
        graph_def: the graph, each node after those that it reads.
        inputs: the names of its placeholders.
        outputs: its outputs.

    Attributes:
        nodes: its nodes by name, in order.
        outputs: its outputs.
    """

    def __init__(self, graph_def: Any, inputs: Iterable[str], outputs: Collection[Ref]) -> None:
        self.nodes: Nodes = {node.name: node for node in graph_def.node}
        self.outputs = frozenset(outputs)
        self._inputs = tuple(inputs)
        self._graph = tf.Graph()
        with self._graph.as_default():
            tf.graph_util.import_graph_def(graph_def, name="")

    def operation(self, name: str) -> tf.Operation:
        """Return an operation of the imported graph."""
        return self._graph.get_operation_by_name(name)

    def tensor(self, ref: Ref) -> tf.Tensor:
        """Return a tensor of the imported graph."""
        return self._graph.get_tensor_by_name(name_of(ref))

    def is_float(self, ref: Ref) -> bool:
        """Return whether a tensor holds floating-point numbers."""
        return bool(self.tensor(ref).dtype.is_floating)

    @cached_property
    def features(self) -> frozenset[Ref]:
        """The tensors that depend on the values of an input, not on its shape alone; the inputs included."""
        found: set[Ref] = {(name, 0) for name in self._inputs}
        for name, node in self.nodes.items():
            if node.op not in READING_SHAPES and not found.isdisjoint(data_inputs(node)):
                found.update((name, index) for index in range(len(self.operation(name).outputs)))
        return frozenset(found)

    @cached_property
    def readers(self) -> Mapping[Ref, list[str]]:
        """The names of the nodes that read each tensor; tensors that none reads are missing."""
        found: dict[Ref, list[str]] = {}
        for name, node in self.nodes.items():
            for ref in data_inputs(node):
                found.setdefault(ref, []).append(name)
        return found

    def features_read(self, name: str) -> list[Ref]:
        """Return the tensors with features that a node reads."""
        return [ref for ref in data_inputs(self.nodes[name]) if ref in self.features]

    def weights_read(self, name: str) -> list[Ref]:
        """Return the tensors of floating-point numbers that a node reads and that no input changes."""
        read = data_inputs(self.nodes[name])
        return [ref for ref in read if ref not in self.features and self.is_float(ref)]

    def returned(self, name: str) -> list[Ref]:
        """Return the tensors of a node that somebody reads."""
        every = [(name, index) for index in range(len(self.operation(name).outputs))]
        return [ref for ref in every if ref in self.readers or ref in self.outputs]
