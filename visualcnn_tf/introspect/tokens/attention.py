"""Find the attention weights of a transformer in its graph: all that lead from the tokens of a layer to its outputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.errors import NoAttentionError
from visualcnn_tf.introspect.function_bodies import function_definitions
from visualcnn_tf.introspect.upstream import operations_between

#: The types of operations between a softmax and the product with the values: masks, dropout, changes of type and shape.
_BEFORE_THE_PRODUCT = frozenset(
    (
        *("Cast", "EnsureShape", "ExpandDims", "Identity", "Reshape", "Select", "SelectV2", "Snapshot", "Squeeze"),
        *("StopGradient", "Transpose"),
    )
)
_PRODUCTS = frozenset(["BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul"])


def attention_between(tokens: tf.Tensor, outputs: Sequence[tf.Tensor], path: str) -> list[tf.Tensor]:
    """Return the attention weights on all paths from tokens to outputs, in order.

    Args:
        tokens: what a layer returned, ``(B, N, C)``, a tensor of the current graph.
        outputs: tensors of the same graph.
        path: the layer's path, for errors.

    Returns:
        ``(B, heads, N, N)`` each, or ``(B, N, N)`` of a single head.

    Raises:
        NoAttentionError: if there are none, or some that can't be rolled out from these tokens.
    """
    between = operations_between(tokens, outputs)
    weights = _weights(between)
    _check_visible(between, path)
    if not weights:
        raise NoAttentionError(
            f"`method` needs attention weights, of a softmax, between the layer and the output. Received: {path!r}, "
            "behind which there are none. Select the first layer of tokens, or use 'gradcam'."
        )
    for one in weights:
        _check_shape(one, tokens.shape, path)
    _check_chain(weights, path)
    return weights


def count_of_attention(tokens: tf.Tensor, outputs: Sequence[tf.Tensor]) -> int:
    """Return how many attention weights there are on all paths from a tensor to outputs, of any shape."""
    return len(_weights(operations_between(tokens, outputs)))


def _weights(operations: Iterable[tf.Operation]) -> list[tf.Tensor]:
    return [op.outputs[0] for op in operations if op.type == "Softmax" and _is_attention(op.outputs[0])]


def _is_attention(weights: tf.Tensor) -> bool:
    """Return whether a product reads the result of a softmax: weights of values, not gates or probabilities."""
    if weights.shape.rank is not None and weights.shape.rank < 3:
        return False
    todo, seen = [weights], {weights.ref()}
    while todo:
        tensor = todo.pop()
        for reader in tensor.consumers():
            if reader.type in _PRODUCTS:
                return True
            if _keeps_weights(reader, tensor) and reader.outputs[0].ref() not in seen:
                seen.add(reader.outputs[0].ref())
                todo.append(reader.outputs[0])
    return False


def _keeps_weights(reader: tf.Operation, weights: tf.Tensor) -> bool:
    """Return whether the result of an operation on weights still is weights, not values that were gated by them."""
    is_scaled = reader.type == "Mul" and reader.outputs[0].shape.is_compatible_with(weights.shape)
    return is_scaled or reader.type in _BEFORE_THE_PRODUCT


def _check_visible(operations: Iterable[tf.Operation], path: str) -> None:
    """Raise for a softmax inside of a function that the graph calls, such as a loop."""
    for op in operations:
        names = _called(op.node_def.attr)
        if names and _computes_softmax(names, op.graph):
            raise NoAttentionError(
                f"`method` needs attention weights that are computed in the graph of the model itself. Received: "
                f"{path!r}, behind which {op.type} ({op.name!r}) computes a softmax in a function of its own. Remove "
                "`tf.function`, `jit_compile` or the loop from that layer, or use 'gradcam'."
            )


def _called(attributes: Mapping[str, Any]) -> list[str]:
    """Return the names of the functions that an operation with these attributes calls."""
    named = list(attributes.values())
    several = [function.name for value in named for function in value.list.func]
    return [value.func.name for value in named if value.func.name] + several


def _computes_softmax(names: Sequence[str], graph: tf.Graph) -> bool:
    definitions, todo, seen = function_definitions(graph), list(names), set(names)
    while todo:
        nodes = definitions[todo.pop()].node_def
        if any(node.op == "Softmax" for node in nodes):
            return True
        new = {name for node in nodes for name in _called(node.attr)} & set(definitions) - seen
        seen |= new
        todo += new
    return False


def _check_shape(weights: tf.Tensor, tokens: Shape, path: str) -> None:
    shape, count = tuple(weights.shape), tokens[1]
    if len(shape) in (3, 4) and all(size in (None, count) or count is None for size in shape[-2:]):
        return
    received = ", ".join(["B", *map(str, shape[1:])])
    raise NoAttentionError(
        f"`method` needs attention weights (B, heads, N, N) between all N tokens of the layer. Received: {path!r} with "
        f"{count} tokens, behind which {weights.op.name!r} has weights of shape ({received}), as in windows, "
        "between fewer tokens, or with tokens that came or went. Select the first layer of as many tokens, or use "
        "'gradcam'."
    )


def _check_chain(weights: Sequence[tf.Tensor], path: str) -> None:
    """Raise unless each attention reads what the one before it has computed."""
    for one, other in itertools.pairwise(weights):
        if not operations_between(one, [other]):
            raise NoAttentionError(
                f"`method` needs attention in one block after the other. Received: {path!r}, behind which "
                f"{one.op.name!r} and {other.op.name!r} attend side by side. Use 'gradcam'."
            )
