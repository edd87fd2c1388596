"""The weights of a frozen graph, its large constants, kept apart from the graph where it is saved."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Collection
from hashlib import sha256
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.graphs.nodes import NodeDef

# Smaller ones, such as the sizes of a reshape, say something about the graph.
_LARGE = 1024  # bytes
_KEPT_APART = (tf.float16, tf.float32, tf.float64)


def large_constants(graph_def: Any) -> list[NodeDef]:
    """Return the constants of a graph that are kept apart."""
    return [
        node
        for node in graph_def.node
        if node.op == "Const"
        and tf.as_dtype(node.attr["dtype"].type) in _KEPT_APART
        and node.attr["value"].tensor.ByteSize() > _LARGE
    ]


def value_of(node: NodeDef) -> NDArray[np.generic]:
    """Return the value of a constant."""
    value: NDArray[np.generic] = tf.make_ndarray(node.attr["value"].tensor)
    return value


def set_value(node: NodeDef, value: NDArray[np.generic]) -> None:
    """Set the value of a constant, which has the type and shape of the one before."""
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


def digest_of(node: NodeDef) -> str:
    """Return a number for the value of a constant."""
    return sha256(np.ascontiguousarray(value_of(node)).tobytes()).hexdigest()


def to_text(graph_def: Any, apart: Collection[str]) -> str:
    """Return a graph as text, with NaN in place of the constants that are kept apart."""
    without = type(graph_def)()
    without.versions.CopyFrom(graph_def.versions)
    without.library.CopyFrom(graph_def.library)
    for node in graph_def.node:
        copy = without.node.add()
        if node.name not in apart:
            copy.CopyFrom(node)
            continue
        copy.name, copy.op = node.name, node.op
        copy.attr["dtype"].CopyFrom(node.attr["dtype"])
        shape, dtype = tf.TensorShape(node.attr["value"].tensor.tensor_shape), node.attr["dtype"].type
        copy.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.nan, dtype, shape))
    return base64.b64encode(zlib.compress(without.SerializeToString(deterministic=True))).decode()


def from_text(text: str) -> Any:
    """Return the graph that :func:`to_text` wrote."""
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(zlib.decompress(base64.b64decode(text)))
    return graph_def
