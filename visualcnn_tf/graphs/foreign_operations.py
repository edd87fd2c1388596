"""Operations that a graph must not have: they do more than to compute its outputs from its inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.graphs.nodes import CONTROL_FLOW_V1, NodeDef, function_names

_RESTORING = "RestoreV2"
# How the names of operations start, or what they hold, that read or write files, call Python, or talk to others.
_OUTSIDE = (
    *("EagerPyFunc", "MatchingFiles", "MergeV2Checkpoints", "PyFunc", "ReadFile", "RemoteCall", "Restore", "Rpc"),
    *("Save", "ShardedFile", "Write", "_Recv", "_Send"),
)
_OUTSIDE_PARTS = ("Dataset", "Iterator", "Reader")
# How those start that change what the next prediction reads.
_CHANGING = (
    *("Assign", "Barrier", "FIFOQueue", "Queue", "RandomShuffleQueue", "ResourceApply", "ResourceScatter"),
    *("ScatterAdd", "ScatterSub", "ScatterUpdate", "Stack"),
)


def check_operations(nodes: Iterable[NodeDef], graph_def: Any, path: str) -> None:
    """Raise for operations that can't be part of a model that is explained.

    Args:
        nodes: those that the outputs are computed from.
        graph_def: the graph, with the functions that they call.
        path: the file, for messages.

    Raises:
        IncompatibleModelError: for files, Python code, other processes, changes of variables, lookup tables, and loops
            as TensorFlow 1 wrote them.
    """
    for node in _with_functions(nodes, graph_def):
        why = _why_not(node)
        if why:
            raise IncompatibleModelError(
                f"`path` must hold a graph that computes its outputs from its inputs and does nothing else. Received: "
                f"`{path}`, where {node.name!r} ({node.op}) {why}. Name `inputs` behind it or `outputs` before it."
            )


def check_restoring(graph_def: Any, name: str, path: str) -> None:
    """Raise unless the operation of a SavedModel that restores its variables does that and nothing else.

    Raises:
        IncompatibleModelError: for a graph that has none, or one that does more.
    """
    nodes = {node.name: node for node in graph_def.node}
    if name not in nodes:
        raise IncompatibleModelError(
            f"`path` must be a SavedModel with the values of its variables. Received: `{path}`, which has no operation "
            "that restores them. Save the model again."
        )
    found: dict[str, NodeDef] = {}
    todo = [name]
    while todo:
        current = todo.pop()
        if current not in found:
            found[current] = nodes[current]
            todo += [read.lstrip("^").partition(":")[0] for read in nodes[current].input]
    for node in _with_functions(found.values(), graph_def):
        if node.op != _RESTORING and _is_outside(node.op):
            raise IncompatibleModelError(
                f"`path` must be a SavedModel that only restores its variables when it is loaded. Received: `{path}`, "
                f"which runs {node.name!r} ({node.op}) as well. It may be malicious."
            )


def _why_not(node: NodeDef) -> str:
    """Return why a node can't be part of a model, or ""."""
    if node.op in CONTROL_FLOW_V1:
        return "is part of a loop or branch as TensorFlow 1 wrote them"
    if "Table" in node.op:
        return "reads a lookup table"
    if _is_outside(node.op):
        return "reads or writes files, runs Python code or talks to other programs"
    return "changes what the next prediction reads" if changes_state(node) else ""


def changes_state(node: NodeDef) -> bool:
    """Return whether a node changes a variable or the like."""
    return bool(node.op.startswith(_CHANGING))


def _is_outside(kind: str) -> bool:
    return kind.startswith(_OUTSIDE) or any(part in kind for part in _OUTSIDE_PARTS)


def _with_functions(nodes: Iterable[NodeDef], graph_def: Any) -> Iterator[NodeDef]:
    """Yield nodes, and those of all functions that they call."""
    functions: Mapping[str, Any] = {one.signature.name: one for one in graph_def.library.function}
    todo, seen = list(nodes), set[str]()
    while todo:
        node = todo.pop()
        if node.op in functions:  # a function by the name of its operation
            called = [node.op]
        else:
            yield node
            called = list(function_names(node))
        for name in called:
            if name in functions and name not in seen:
                seen.add(name)
                todo += functions[name].node_def
