"""The nodes of a GraphDef: what they read, and which of them a tensor is computed from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

#: A tensor of a graph: the name of the operation that returns it, and which of its outputs it is.
Ref: TypeAlias = tuple[str, int]
#: The protocol buffer of an operation of a graph.
NodeDef: TypeAlias = Any
#: The nodes of a graph by name.
Nodes: TypeAlias = dict[str, NodeDef]

#: Operations of control flow as TensorFlow 1 wrote it, in whose loops nothing can be read.
CONTROL_FLOW_V1 = frozenset(
    [
        *("Enter", "Exit", "LoopCond", "Merge", "NextIteration", "Switch"),
        *("RefEnter", "RefExit", "RefMerge", "RefNextIteration", "RefSwitch"),
    ]
)
#: Operations that stand for a variable: a handle of it, or, as TensorFlow 1 had it, its value.
VARIABLES = frozenset(["VarHandleOp", "Variable", "VariableV2"])


def ref_of(name: str) -> Ref:
    """Return the tensor of a name, ``"a"`` or ``"a:1"``.

    Example:
        >>> ref_of("MobilenetV2/Conv/Relu6"), ref_of("split:2")
        (('MobilenetV2/Conv/Relu6', 0), ('split', 2))
    """
    operation, _, index = name.partition(":")
    return operation, int(index or 0)


def name_of(ref: Ref) -> str:
    """Return the name of a tensor, ``"a:1"``."""
    return f"{ref[0]}:{ref[1]}"


def data_inputs(node: NodeDef) -> list[Ref]:
    """Return the tensors that a node reads, in order; what it only runs after is left out."""
    return [ref_of(name) for name in node.input if not name.startswith("^")]


def control_inputs(node: NodeDef) -> list[str]:
    """Return the names of the nodes that a node runs after without reading what they return."""
    return [name[1:] for name in node.input if name.startswith("^")]


def run_before(nodes: Mapping[str, NodeDef], names: Iterable[str]) -> set[str]:
    """Return the names of the nodes that run before others, themselves included, also where nothing of them is read."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in nodes and name not in found:
            found.add(name)
            todo += [*(read for read, _ in data_inputs(nodes[name])), *control_inputs(nodes[name])]
    return found


def upstream_nodes(nodes: Mapping[str, NodeDef], refs: Iterable[Ref], stops: Collection[Ref] = ()) -> set[str]:
    """Return the names of the nodes that tensors are computed from, but for what comes before the stops."""
    found: set[str] = set()
    todo = [ref for ref in refs if ref not in stops]
    while todo:
        name, _ = todo.pop()
        if name not in found:
            found.add(name)
            todo += [ref for ref in data_inputs(nodes[name]) if ref not in stops]
    return found


def in_topological_order(nodes: Mapping[str, NodeDef]) -> list[NodeDef]:
    """Return nodes, each after those of them that it reads. There must be no cycle."""
    ordered: dict[str, NodeDef] = {}
    seen: set[str] = set()
    for start in nodes:
        stack = [(start, False)]
        while stack:
            name, inputs_done = stack.pop()
            if inputs_done:
                ordered[name] = nodes[name]
            elif name not in seen:
                seen.add(name)
                stack.append((name, True))
                stack += [(read, False) for read, _ in reversed(data_inputs(nodes[name])) if read in nodes]
    return list(ordered.values())


def function_names(node: NodeDef) -> Iterator[str]:
    """Yield the names of the functions that a node calls, as loops, branches and calls do."""
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        for function in value.list.func:
            yield function.name


def rename_functions(nodes: Iterable[NodeDef], new_name: Callable[[str], str]) -> None:
    """Rename the functions that nodes call, in place."""
    for node in nodes:
        for value in node.attr.values():
            for function in [*([value.func] if value.HasField("func") else []), *value.list.func]:
                function.name = new_name(function.name)
