"""Convert graph models of TensorFlow.js into frozen graphs: ``python -m tools.real.tfjs model.json out.pb``.

TensorFlow.js fuses a convolution or product with the bias and the activation after it into one operation. Here these
are separate operations again, as in the graph that the model was made of.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format

_TYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32, "uint8": np.uint8, "bool": np.bool_}
_FUSED = {
    "_FusedConv2D": ("Conv2D", ("strides", "padding", "data_format", "dilations", "explicit_paddings")),
    "FusedDepthwiseConv2dNative": (
        "DepthwiseConv2dNative",
        ("strides", "padding", "data_format", "dilations", "explicit_paddings"),
    ),
    "_FusedMatMul": ("MatMul", ("transpose_a", "transpose_b")),
}
_ACTIVATIONS = ("Relu", "Relu6", "Elu", "LeakyRelu", "Sigmoid", "Tanh")
#: The version of graphs in which this code writes; operations have kept their meaning since.
_PRODUCER = 27


def convert(path: str | Path) -> tf.compat.v1.GraphDef:
    """Return the frozen graph of a ``model.json`` and the weight files beside it."""
    path = Path(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    weights = dict(_weights(content["weightsManifest"], path.parent))
    nodes = json_format.ParseDict(
        {"node": content["modelTopology"]["node"]}, tf.compat.v1.GraphDef(), ignore_unknown_fields=True
    ).node
    graph = tf.compat.v1.GraphDef()
    graph.versions.producer = _PRODUCER
    for node in nodes:
        if node.op == "Const":
            graph.node.append(_constant(node.name, weights[node.name]))
        elif node.op in _FUSED:
            graph.node.extend(_separated(node))
        else:
            graph.node.append(node)
    return graph


def _weights(manifest: list[dict[str, Any]], folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays by name, which stand one after the other in the files of each group."""
    for group in manifest:
        data = b"".join((folder / name).read_bytes() for name in group["paths"])
        start = 0
        for entry in group["weights"]:
            stored = entry.get("quantization", {})
            dtype = np.dtype(stored.get("dtype", entry["dtype"]))
            array = np.frombuffer(data, dtype, int(np.prod(entry["shape"])), start).reshape(entry["shape"])
            start += array.nbytes
            if "scale" in stored:
                array = array.astype(np.float64) * stored["scale"] + stored["min"]
            yield entry["name"], array.astype(_TYPES[entry["dtype"]])


def _constant(name: str, value: np.ndarray) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, shape=value.shape))
    return node


def _separated(node: Any) -> Iterator[Any]:
    """Yield the operations of a fused one; the last of them has its name.

    Raises:
        NotImplementedError: It contains an operation that is not known here.
    """
    kind, kept = _FUSED[node.op]
    steps = [kind, *(step.decode() for step in node.attr["fused_ops"].list.s)]
    others = list(node.input[2:])
    previous: list[str] = list(node.input[:2])
    for number, step in enumerate(steps):
        is_last = number == len(steps) - 1
        made = tf.compat.v1.NodeDef(name=node.name if is_last else f"{node.name}/{step.lower()}", op=step)
        made.attr["T"].CopyFrom(node.attr["T"])
        if step == kind:
            _copy(node, made, kept)
        elif step == "BiasAdd":
            previous.append(others.pop(0))
            _copy(node, made, ("data_format",))
        elif step == "LeakyRelu":
            made.attr["alpha"].CopyFrom(node.attr["leakyrelu_alpha"])
        elif step not in _ACTIVATIONS:
            raise NotImplementedError(f"{node.name}: {node.op} with {step}")
        made.input.extend(previous)
        previous = [made.name]
        yield made


def _copy(source: Any, target: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if name in source.attr:
            target.attr[name].CopyFrom(source.attr[name])


def main(source: str, target: str) -> None:
    """Convert a file."""
    Path(target).write_bytes(convert(source).SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:])
