"""Read frozen graphs: files of one GraphDef, whose weights are constants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from visualcnn_tf._utils.checks import quoted
from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.graphs.nodes import NodeDef, Nodes, Ref, data_inputs, function_names
from visualcnn_tf.graphs.source import Source, Values

# They return nothing that anybody could want to see.
_NO_OUTPUTS = frozenset(
    ["Assert", "Const", "NoOp", "Placeholder", "PlaceholderWithDefault", "Print", "PrintV2", "TensorListReserve"]
)


def read_frozen(path: Path) -> Source:
    """Read a ``.pb`` file; its inputs are its placeholders, its outputs what no other operation reads.

    Raises:
        IncompatibleModelError: for a file of anything else.
    """
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(path.read_bytes())
        nodes = {node.name: node for node in graph_def.node}
    except Exception as error:  # the package protobuf tells several
        raise _refused(path, f"It can't be read: {type(error).__name__}: {error}") from error
    if not nodes:
        raise _refused(path, "It holds no operation.")
    inputs = {name: (name, 0) for name, node in nodes.items() if node.op == "Placeholder"}
    return Source(str(path), graph_def, inputs, _sinks(nodes), _no_values, has_guessed_outputs=True)


def _sinks(nodes: Nodes) -> dict[str, Ref]:
    """Return the first output of each node that no other one reads, but for what loops return beside their results."""
    read = {name for node in nodes.values() for name, _ in data_inputs(node)}
    ends = [node for name, node in nodes.items() if name not in read and node.op not in _NO_OUTPUTS]
    return {node.name: (node.name, 0) for node in ends if not _is_of_loop(node, nodes)}


def _is_of_loop(node: NodeDef, nodes: Nodes) -> bool:
    """Return whether a node only passes on what a loop or branch returns, which TensorFlow adds for each result."""
    return bool(node.op == "Identity" and list(function_names(nodes[data_inputs(node)[0][0]])))


def _no_values(names: Sequence[str]) -> Values:
    """Raise for the variables of a graph that is not frozen."""
    if not names:
        return {}
    raise IncompatibleModelError(
        f"`path` must be a frozen graph, whose weights are constants. Received: one with the variables "
        f"{quoted(names[:3])}, whose values are in another file. Freeze it, or pass the folder of a SavedModel."
    )


def _refused(path: Path, why: str) -> IncompatibleModelError:
    advice: Any = "Pass the folder that it is in." if path.name == "saved_model.pb" else "Models of Keras need no such "
    if path.name != "saved_model.pb":
        advice += "file: load them with `keras.models.load_model(path)`."
    return IncompatibleModelError(
        f"`path` must be a frozen graph (`.pb`, a binary GraphDef) or the folder of a SavedModel. Received: `{path}`. "
        f"{why} {advice}"
    )
