"""The functions that the loops and branches of a graph call: as few as can be, under names that no other graph has."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from visualcnn_tf.graphs.nodes import NodeDef, function_names, rename_functions


def add_library(graph_def: Any, source: Any) -> None:
    """Add the functions that the nodes of a graph call, in place, and rename them.

    Two models may hold functions of the same name, and a graph that runs both can't.

    Args:
        graph_def: a graph without functions.
        source: the one that holds them.
    """
    functions = {function.signature.name: function for function in source.library.function}
    called = _called(graph_def.node, functions)
    chosen = [functions[name] for name in functions if name in called]
    digest = sha256(b"".join(function.SerializeToString(deterministic=True) for function in chosen)).hexdigest()[:12]

    def new_name(name: str) -> str:
        return f"{name}_{digest}" if name in called else name

    for function in chosen:
        copy = graph_def.library.function.add()
        copy.CopyFrom(function)
        copy.signature.name = new_name(copy.signature.name)
        rename_functions(copy.node_def, new_name)
        for node in copy.node_def:
            node.op = new_name(node.op)
            node.device = ""
    rename_functions(graph_def.node, new_name)


def _called(nodes: Iterable[NodeDef], functions: dict[str, Any]) -> set[str]:
    """Return the names of the functions that nodes call, and that these call."""
    found: set[str] = set()
    todo = list(nodes)
    while todo:
        node = todo.pop()
        for name in {node.op, *function_names(node)} & functions.keys():
            if name not in found:
                found.add(name)
                todo += functions[name].node_def
    return found
