"""Run a graph inside the graph that is being built, and let others watch and replace what its layers return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from visualcnn_tf.graphs.layers import PlacedLayer
from visualcnn_tf.graphs.nodes import VARIABLES, NodeDef, Ref, data_inputs, name_of
from visualcnn_tf.introspect.record import is_watched

#: Tensors of the graph that is being built, by what they are in the graph that is run.
Known: TypeAlias = dict[Ref, tf.Tensor]


class Program:
    """A graph that can be run.

    Args:
        graph_def: the graph, each node after those that it reads.
        outputs: its outputs.
        layers: its layers.
    """

    def __init__(self, graph_def: Any, outputs: Sequence[Ref], layers: Sequence[PlacedLayer]) -> None:
        self._versions = graph_def.versions
        self._functions = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
        if graph_def.library.function:
            with tf.init_scope():  # TensorFlow's eager runtime has to know them, too
                tf.graph_util.import_graph_def(self._functions, name="functions")
        self.nodes = [node for node in graph_def.node if node.op not in ("Placeholder", *VARIABLES)]
        self.outputs = tuple(outputs)
        self._layers = {placed.end: placed for placed in layers}
        # Of each tensor the number of the last node that reads it, and of outputs one after all nodes.
        self._last_read: dict[Ref, int] = {}
        for number, node in enumerate(self.nodes):
            self._last_read |= dict.fromkeys(data_inputs(node), number)
        self._last_read |= dict.fromkeys(self.outputs, len(self.nodes))
        self._read_of: dict[str, list[Ref]] = {}
        for ref in self._last_read:
            self._read_of.setdefault(ref[0], []).append(ref)

    def run(self, fed: Mapping[Ref, tf.Tensor]) -> list[tf.Tensor]:
        """Return the outputs.

        Layers that nobody watches are not called one by one: TensorFlow gets the graph as it is.

        Args:
            fed: tensors of the graph that is being built, for the placeholders and variables.
        """
        return _Run(self, fed, self._functions, self._versions).outputs()

    def watched_layer(self, name: str) -> PlacedLayer | None:
        """Return the layer that ends at a node, if somebody watches it."""
        placed = self._layers.get(name)
        return placed if placed is not None and is_watched(placed.layer) else None

    def read_after(self, name: str, number: int) -> list[Ref]:
        """Return the outputs of a node that are read after the node of a number."""
        return [ref for ref in self._read_of.get(name, ()) if self._last_read[ref] > number]


class _Run:
    """One run of a program."""

    def __init__(self, program: Program, fed: Mapping[Ref, tf.Tensor], functions: Any, versions: Any) -> None:
        self.program, self.versions = program, versions
        self.known: Known = dict(fed)
        self.pending: list[NodeDef] = []
        self.number = -1  # of the node that was pending last
        if functions.library.function:
            with tf.control_dependencies(None):
                tf.graph_util.import_graph_def(functions, name="functions")

    def outputs(self) -> list[tf.Tensor]:
        for number, node in enumerate(self.program.nodes):
            self.number = number
            self.pending.append(node)
            placed = self.program.watched_layer(node.name)
            if placed is not None:
                self._call(placed)
        self._flush(self.number)
        return [self.known[ref] for ref in self.program.outputs]

    def _call(self, placed: PlacedLayer) -> None:
        """Call a layer, whose last operation is the last one that is pending."""
        if not all(ref in self.known for ref in placed.reads):
            last = self.pending.pop()
            self._flush(self.number - 1, placed.reads)
            self.pending.append(last)

        def run() -> Any:
            self._flush(self.number)
            tensors = [self.known[ref] for ref in placed.returns]
            return tensors[0] if len(tensors) == 1 else tensors

        returned = placed.layer(*[self.known[ref] for ref in placed.reads], run=run)
        if self.pending:  # the layer did not run: something else is returned in its place
            self.pending.pop()
        self.known.update(zip(placed.returns, tf.nest.flatten(returned), strict=True))

    def _flush(self, number: int, also: Sequence[Ref] = ()) -> None:
        """Add the pending operations to the graph that is being built.

        Args:
            number: that of the last node of these.
            also: tensors that are wanted, beside those that later nodes read.
        """
        if not self.pending:
            return
        inside = {node.name for node in self.pending}
        read = {ref for node in self.pending for ref in data_inputs(node) if ref[0] not in inside}
        wanted = {ref: None for name in inside for ref in self.program.read_after(name, number)}
        wanted |= {ref: None for ref in also if ref[0] in inside}
        graph_def = tf.compat.v1.GraphDef(versions=self.versions, node=self.pending)
        # TensorFlow can't import a graph under control dependencies.
        with tf.control_dependencies(None):
            tensors = tf.graph_util.import_graph_def(
                graph_def,
                input_map={name_of(ref): self.known[ref] for ref in read},
                return_elements=[name_of(ref) for ref in wanted],
                name="graph",
            )
        self.known.update(zip(wanted, tensors, strict=True))
        self.pending = []
