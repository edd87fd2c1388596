"""Function calls in a GraphDef replaced by the operations of the functions, so that these can be named and read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.function_def_to_graph import function_def_to_graph_def

from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.graphs.nodes import NodeDef, Nodes, Ref, control_inputs, data_inputs, name_of, ref_of
from visualcnn_tf.introspect.function_bodies import FUNCTION_CALLS

# They return what they read: without them there are fewer layers, and nothing else changes.
_PASSING = frozenset(["Identity", "IdentityN", "PlaceholderWithDefault", "Snapshot"])
# What is said about devices and neighbors, which may not be there, and about shapes, which may be others.
_HINTS = ("_class", "_output_shapes")


class InlinedGraph:
    """The nodes of a graph, without calls of functions and without operations that only pass tensors on.

    A node of a function keeps its name, or has the name of the call before it where the name is taken. The rest of the
    graph, such as loops, keeps the functions that it calls.

    Args:
        graph_def: the graph.
        kept: names of nodes that are kept whatever they do, because inputs are fed there.

    Attributes:
        nodes: the nodes by name.
        inlined: the names of those that stood in functions. TensorFlow runs all of a function that has effects.

    Raises:
        IncompatibleModelError: for a graph that calls a function that it does not hold.
    """

    def __init__(self, graph_def: Any, kept: Collection[str] = ()) -> None:
        self.nodes: Nodes = {}
        self.inlined: set[str] = set()
        self._passed: dict[Ref, Ref] = {}
        self._functions = {function.signature.name: function for function in graph_def.library.function}
        self._taken = {node.name for node in graph_def.node}
        self._kept = kept
        with tf.Graph().as_default():
            # Nodes whose type is a function are only known to a graph that has the functions.
            tf.graph_util.import_graph_def(_only_functions(graph_def), name="")
            for node in graph_def.node:
                self._add(node, ())
        for node in self.nodes.values():
            before = {self.source((name, 0))[0] for name in control_inputs(node)} & self.nodes.keys()
            node.input[:] = [name_of(self.source(ref)) for ref in data_inputs(node)] + [f"^{name}" for name in before]

    def source(self, ref: Ref) -> Ref:
        """Return the tensor that is there for one that was passed on, or computed inside of a call."""
        while ref in self._passed:
            ref = self._passed[ref]
        return ref

    def _add(self, node: NodeDef, calls: tuple[str, ...]) -> None:
        """Add a node, or what it stands for.

        Args:
            node: the node.
            calls: the functions that it stands in, outermost first.
        """
        function = self._function_of(node)
        if function is not None:
            self._inline(node, function, calls)
        elif node.op in _PASSING and node.name not in self._kept:
            self._passed |= {(node.name, index): ref for index, ref in enumerate(data_inputs(node))}
        else:
            self.nodes[node.name] = _without_hints(node)
            self.inlined |= {node.name} if calls else set()

    def _function_of(self, node: NodeDef) -> str | None:
        """Return the name of the function that a node calls, if that is all it does."""
        if node.op in self._functions:
            return str(node.op)
        return str(node.attr["f"].func.name) if node.op in FUNCTION_CALLS else None

    def _inline(self, node: NodeDef, function: str, calls: tuple[str, ...]) -> None:
        definition = self._functions.get(function)
        if definition is None or function in calls:
            raise IncompatibleModelError(
                f"`path` must hold a graph with all functions that it calls, none of which calls itself. Received: one "
                f"where {node.name!r} calls {function!r}. The file may be damaged: write it again."
            )
        body, names = function_def_to_graph_def(definition)
        arguments = [argument.name for argument in definition.signature.input_arg]
        inner = [part for part in body.node if part.name not in arguments]
        renamed = self._new_names(inner, node.name)
        given = dict(zip([(name, 0) for name in arguments], data_inputs(node), strict=True))
        for part in inner:
            self._add(_renamed(part, given, renamed), (*calls, function))
        for index, output in enumerate(definition.signature.output_arg):
            returned = ref_of(names[definition.ret[output.name]])
            self._passed[node.name, index] = _outside(returned, given, renamed)

    def _new_names(self, nodes: Iterable[NodeDef], call: str) -> dict[str, str]:
        """Return new names of nodes that no other node of the graph has."""
        renamed = {}
        for node in nodes:
            name, number = node.name, 0
            while name in self._taken:
                name = f"{call}/{node.name}" + (f"_{number}" if number else "")
                number += 1
            self._taken.add(name)
            renamed[node.name] = name
        return renamed


def _renamed(node: NodeDef, given: Mapping[Ref, Ref], renamed: Mapping[str, str]) -> NodeDef:
    """Return a copy of a node of a function as one of the graph."""
    copy = type(node)()
    copy.CopyFrom(node)
    copy.name = renamed[node.name]
    before = [f"^{renamed[name]}" for name in control_inputs(node) if name in renamed]
    copy.input[:] = [*(name_of(_outside(ref, given, renamed)) for ref in data_inputs(node)), *before]
    return copy


def _outside(ref: Ref, given: Mapping[Ref, Ref], renamed: Mapping[str, str]) -> Ref:
    """Return the tensor of the graph that a tensor inside of a function is."""
    return given[ref] if ref in given else (renamed[ref[0]], ref[1])


def _only_functions(graph_def: Any) -> Any:
    functions = type(graph_def)()
    functions.versions.CopyFrom(graph_def.versions)
    functions.library.CopyFrom(graph_def.library)
    return functions


def _without_hints(node: NodeDef) -> NodeDef:
    """Return a copy of a node without what ties it to devices, to other nodes and to sizes."""
    copy = type(node)()
    copy.CopyFrom(node)
    copy.device = ""
    for name in _HINTS:
        if name in copy.attr:
            del copy.attr[name]
    return copy
