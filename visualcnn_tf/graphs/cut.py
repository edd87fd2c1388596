"""Cut out of a file's graph what leads from inputs to outputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.errors import IncompatibleModelError, InvalidArgumentError, LayerNotFoundError
from visualcnn_tf.graphs.endpoints import (
    Endpoints,
    check_complete,
    check_inputs,
    check_outputs,
    fed_names,
    input_refs,
    no_input,
    output_refs,
)
from visualcnn_tf.graphs.foreign_operations import changes_state, check_operations
from visualcnn_tf.graphs.inline import InlinedGraph
from visualcnn_tf.graphs.library import add_library
from visualcnn_tf.graphs.nodes import Nodes, Ref, data_inputs, in_topological_order, name_of, run_before, upstream_nodes
from visualcnn_tf.graphs.source import Source

_PLACEHOLDERS = ("Placeholder", "PlaceholderWithDefault")


@dataclass(frozen=True, eq=False)
class CutGraph:
    """A graph with nothing in it but what leads from its inputs to its outputs.

    Attributes:
        graph_def: its nodes, each after those that it reads; each input is a placeholder.
        inputs: the names of the placeholders by key.
        outputs: the outputs by key.
    """

    graph_def: Any
    inputs: Mapping[str, str]
    outputs: Mapping[str, Ref]


def cut(source: Source, inputs: Endpoints, outputs: Endpoints) -> CutGraph:
    """Cut a graph at the inputs and outputs that a caller names, or that the file tells.

    Raises:
        VisualCNNError: for names that are not there, and for what can't be part of a model.
    """
    graph = InlinedGraph(source.graph_def, fed_names(inputs, source))
    ends = output_refs(outputs, source, graph)

    def needs(fed: Iterable[Ref]) -> set[str]:
        return upstream_nodes(graph.nodes, ends.values(), set(fed))

    starts, fixed = input_refs(inputs, source, graph, needs)
    tensors = _tensors(source, _chosen(graph.nodes, needs([])), [*starts.values(), *fixed, *ends.values()])
    live = _chosen(graph.nodes, needs([*starts.values(), *fixed]))
    check_complete([name for name, node in live.items() if node.op in _PLACEHOLDERS], source)
    if not starts:
        raise no_input(source)
    before = [graph.nodes[name] for name in run_before(graph.nodes, live) | graph.inlined]
    check_operations([*live.values(), *filter(changes_state, before)], source.graph_def, source.path)
    check_inputs(starts, tensors, source)
    check_outputs(ends, tensors, source)
    return _rewired(live, starts, fixed, ends, tensors, source)


def _chosen(nodes: Nodes, names: set[str]) -> Nodes:
    return {name: node for name, node in nodes.items() if name in names}


def _tensors(source: Source, nodes: Nodes, refs: Iterable[Ref]) -> dict[Ref, tf.Tensor]:
    """Return tensors of a graph of these nodes, which have shapes and types.

    Raises:
        IncompatibleModelError: for operations that this TensorFlow does not have, and damaged ones.
        LayerNotFoundError: for an output that an operation does not have.
    """
    graph_def = tf.compat.v1.GraphDef()
    graph_def.versions.CopyFrom(source.graph_def.versions)
    graph_def.library.CopyFrom(source.graph_def.library)
    for node in nodes.values():
        copy = graph_def.node.add()
        copy.CopyFrom(node)
        copy.input[:] = [name_of(ref) for ref in data_inputs(node)]
    graph = tf.Graph()
    with graph.as_default():
        try:
            tf.graph_util.import_graph_def(graph_def, name="")
        except (ValueError, tf.errors.OpError) as error:
            raise IncompatibleModelError(
                f"`path` must hold a graph that this TensorFlow can run. Received: `{source.path}`, of which it says: "
                f"{error}"
            ) from error
    return {ref: _tensor(graph.get_operation_by_name(ref[0]), ref[1]) for ref in refs}


def _tensor(operation: tf.Operation, index: int) -> tf.Tensor:
    if index < len(operation.outputs):
        return operation.outputs[index]
    raise LayerNotFoundError(
        f"`inputs` and `outputs` must name tensors of the graph. Received: '{operation.name}:{index}', and "
        f"{operation.name!r} returns {len(operation.outputs)}, numbered from 0."
    )


def _rewired(
    live: Nodes,
    starts: Mapping[str, Ref],
    fixed: Mapping[Ref, Any],
    ends: Mapping[str, Ref],
    tensors: Mapping[Ref, tf.Tensor],
    source: Source,
) -> CutGraph:
    """Return the graph of the live nodes with placeholders for the inputs and constants for those that are fixed."""
    graph_def = tf.compat.v1.GraphDef()
    graph_def.versions.CopyFrom(source.graph_def.versions)
    replaced: dict[Ref, Ref] = {}
    for ref in [*starts.values(), *fixed]:
        node = graph_def.node.add()
        node.name = _free_name(ref, live)
        _set_value(node, tensors[ref], fixed.get(ref))
        replaced[ref] = (node.name, 0)
    for node in in_topological_order(live):
        copy = graph_def.node.add()
        copy.CopyFrom(node)
        copy.input[:] = [name_of(replaced.get(ref, ref)) for ref in data_inputs(node)]
    add_library(graph_def, source.graph_def)
    inputs = {key: replaced[ref][0] for key, ref in starts.items()}
    return CutGraph(graph_def, inputs, {key: replaced.get(ref, ref) for key, ref in ends.items()})


def _free_name(ref: Ref, live: Nodes) -> str:
    """Return a name that no live node has: that of a tensor's operation, if it is not needed otherwise."""
    name, index = ref
    while name in live:
        name = f"{ref[0]}_input_{index}"
        index += 1
    return name


def _set_value(node: Any, tensor: tf.Tensor, value: np.ndarray | None) -> None:
    """Make a node a placeholder, or a constant, in place of a tensor."""
    node.attr["dtype"].type = tensor.dtype.as_datatype_enum
    if value is None:
        node.op = "Placeholder"
        node.attr["shape"].shape.CopyFrom(tensor.shape.as_proto())
        return
    node.op = "Const"
    try:
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, tensor.dtype))
    except (TypeError, ValueError) as error:
        raise _bad_fixed_value(tensor, value) from error
    if not tensor.shape.is_compatible_with(value.shape):
        raise _bad_fixed_value(tensor, value)


def _bad_fixed_value(tensor: tf.Tensor, value: np.ndarray) -> InvalidArgumentError:
    allowed = f"a value of type {tensor.dtype.name} and shape {tensor.shape} to fix {tensor.op.name!r} to"
    return bad_value("inputs", allowed, value)
