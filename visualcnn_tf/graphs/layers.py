"""Which operations of a graph are layers, and what each does to feature maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from visualcnn_tf.graphs.analysis import Analysis
from visualcnn_tf.graphs.data_formats import FIRST, Formats, data_formats
from visualcnn_tf.graphs.nodes import NodeDef, Ref, data_inputs, function_names
from visualcnn_tf.graphs.normalizations import Normalizations
from visualcnn_tf.introspect.operation_layers import (
    CONVOLUTIONS,
    NORMALIZATION_OPERATIONS,
    POOLINGS,
    PRODUCTS,
    GlobalPooling,
    LocalPooling,
    OperationLayer,
    Product,
    WeightedConvolution,
)

# They compute nothing.
_NO_LAYERS = frozenset(
    [
        *("CheckNumerics", "Const", "EnsureShape", "Identity", "IdentityN", "Placeholder", "PlaceholderWithDefault"),
        *("PreventGradient", "ReadVariableOp", "StopGradient", "VarHandleOp", "Variable", "VariableV2"),
    ]
)
_LEARNED = CONVOLUTIONS | PRODUCTS | NORMALIZATION_OPERATIONS
_ADDING = ("Add", "AddV2", "BiasAdd")
_POOLING_ALL = ("Max", "Mean")
# The classes of layers that were made, by type of operation and base class.
_classes: dict[tuple[str, str], type[OperationLayer]] = {}
_FLOATS = frozenset(dtype.as_datatype_enum for dtype in (tf.bfloat16, tf.float16, tf.float32, tf.float64))


@dataclass(frozen=True, eq=False)
class PlacedLayer:
    """A layer, and where it stands in the graph.

    Attributes:
        layer: the layer.
        reads: the tensors with features that it reads.
        returns: the tensors that it returns.
    """

    layer: OperationLayer
    reads: tuple[Ref, ...]
    returns: tuple[Ref, ...]

    @property
    def end(self) -> str:
        """The name of its last operation."""
        return self.returns[0][0]


def placed_layers(analysis: Analysis) -> list[PlacedLayer]:
    """Return a layer for each operation that makes floating-point numbers of the model's inputs.

    A convolution or a product with weights and the bias that is added to it are one layer, as in Keras, under the name
    of the convolution. Operations that only pass tensors on are none.
    """
    formats, normalizations = data_formats(analysis), Normalizations(analysis)
    found: list[PlacedLayer] = []
    biases: set[str] = set()
    for name, node in analysis.nodes.items():
        returns = [ref for ref in analysis.returned(name) if ref in analysis.features and analysis.is_float(ref)]
        if node.op in _NO_LAYERS or name in biases or not returns:
            continue
        bias = _bias_of(analysis, name)
        if bias is not None:
            biases.add(bias)
            returns = [(bias, 0)]
        layer = _layer(analysis, name, formats)
        layer.normalizes = name in normalizations.names
        found.append(PlacedLayer(layer, tuple(analysis.features_read(name)), tuple(returns)))
    paths = {ref: placed.layer.name for placed in found for ref in placed.returns}
    for placed in found:
        placed.layer.normalized = paths.get(normalizations.ends.get(placed.layer.name, ("", 0)), "")
    return found


def _bias_of(analysis: Analysis, name: str) -> str | None:
    """Return the name of the operation that adds a bias to a convolution or product, and alone reads it."""
    ref, readers = (name, 0), analysis.readers.get((name, 0), [])
    weighs = analysis.nodes[name].op in CONVOLUTIONS | PRODUCTS and bool(analysis.weights_read(name))
    if not weighs or len(readers) != 1 or ref in analysis.outputs:
        return None
    reader = analysis.nodes[readers[0]]
    others = [other for other in data_inputs(reader) if other != ref]
    is_bias = len(others) == 1 and others[0] not in analysis.features and _is_vector(analysis.tensor(others[0]))
    return reader.name if reader.op in _ADDING and is_bias else None


def _is_vector(tensor: tf.Tensor) -> bool:
    """Return whether a tensor has at most one axis of more than one number."""
    return tensor.shape.rank is not None and sum(size != 1 for size in tensor.shape) <= 1


def _layer(analysis: Analysis, name: str, formats: Formats) -> OperationLayer:
    node = analysis.nodes[name]
    data_format = formats.get((name, 0))
    strides = [int(size) for size in node.attr["strides"].list.i] if "strides" in node.attr else None
    if strides is not None:
        strides = strides[2:] if data_format == FIRST else strides[1:-1]
    weights = [ref[0] for ref in analysis.weights_read(name)] if node.op in _LEARNED else []
    layer = _class(node.op, _base(analysis, node, bool(weights)))(name, weights, data_format, strides)
    if isinstance(layer, GlobalPooling):
        layer.averages, layer.keepdims = node.op == "Mean", "keep_dims" in node.attr and node.attr["keep_dims"].b
    return layer


def _base(analysis: Analysis, node: NodeDef, has_weights: bool) -> type[OperationLayer]:
    if node.op in CONVOLUTIONS:
        return WeightedConvolution
    if node.op in POOLINGS:
        return LocalPooling
    if node.op in PRODUCTS and has_weights:
        return Product
    return GlobalPooling if node.op in _POOLING_ALL and _pools_all(analysis, node) else OperationLayer


def _pools_all(analysis: Analysis, node: NodeDef) -> bool:
    """Return whether a reduction is one over all spatial axes of maps."""
    maps, axes = data_inputs(node)[:2]
    rank, numbers = analysis.tensor(maps).shape.rank, tf.get_static_value(analysis.tensor(axes))
    if rank is None or rank < 3 or numbers is None:
        return False
    reduced = {int(axis) % rank for axis in numbers.reshape(-1)}
    return reduced in (set(range(1, rank - 1)), set(range(2, rank)))


def _class(kind: str, base: type[OperationLayer]) -> type[OperationLayer]:
    """Return the class of the layers of a type of operations, which has its name."""
    key = (kind, base.__name__)
    if key not in _classes:
        _classes[key] = type(kind, (base,), {"__doc__": f"The operation {kind}."})
    return _classes[key]


def layers_inside(graph_def: Any, taken: Sequence[str]) -> list[OperationLayer]:
    """Return a layer for each operation inside the loops and branches of a graph: these are out of reach.

    They are there so that their names can be refused with the reason.

    Args:
        graph_def: the graph.
        taken: the names of other layers.
    """
    functions = {function.signature.name: function for function in graph_def.library.function}
    found: dict[str, OperationLayer] = {}
    for node in graph_def.node:
        for path, inner in _inside(node.name, node, functions, set()):
            if path not in found and path not in taken:
                found[path] = _class(inner.op, OperationLayer)(path, is_inside=True)
    return list(found.values())


def _inside(path: str, node: NodeDef, functions: dict[str, Any], seen: set[str]) -> Iterator[tuple[str, NodeDef]]:
    """Yield path and node of each operation on floating-point numbers that a node runs."""
    for name in function_names(node):
        if name in functions and name not in seen:
            seen.add(name)
            for inner in functions[name].node_def:
                below = inner.name if inner.name.startswith(f"{path}/") else f"{path}/{inner.name}"
                is_float = "T" in inner.attr and inner.attr["T"].type in _FLOATS
                if is_float and inner.op not in _NO_LAYERS:
                    yield below, inner
                yield from _inside(below, inner, functions, seen)
