"""Graph models of TensorFlow.js become graphs with the same values, without fused operations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format

from tools.real import tfjs

RNG = np.random.default_rng(0)
WEIGHTS: dict[str, np.ndarray] = {
    "kernel": RNG.normal(size=(3, 3, 2, 4)).astype(np.float32),
    "bias": RNG.normal(size=4).astype(np.float32),
    "depthwise": RNG.normal(size=(3, 3, 4, 1)).astype(np.float32),
    "depthwise_bias": RNG.normal(size=4).astype(np.float32),
    "dense": RNG.normal(size=(4, 3)).astype(np.float32),
    "dense_bias": RNG.normal(size=3).astype(np.float32),
    "axes": np.array([1, 2], np.int32),
}


def node(name: str, op: str, inputs: list[str], **attributes: Any) -> dict[str, Any]:
    """A node as TensorFlow.js writes it: the protocol buffer as JSON, with texts in base64."""
    made = tf.compat.v1.NodeDef(name=name, op=op, input=inputs)
    for key, value in attributes.items():
        if isinstance(value, tf.DType):
            made.attr[key].type = value.as_datatype_enum
        elif isinstance(value, str):
            made.attr[key].s = value.encode()
        elif isinstance(value, bool):
            made.attr[key].b = value
        elif value and isinstance(value[0], str):
            made.attr[key].list.s.extend(one.encode() for one in value)
        else:
            made.attr[key].list.i.extend(value)
    return json_format.MessageToDict(made)


def model(steps: list[str]) -> list[dict[str, Any]]:
    """Convolution, depthwise convolution and product, each fused with what follows it."""
    conv = {"T": tf.float32, "strides": [1, 1, 1, 1], "padding": "SAME", "data_format": "NHWC", "dilations": [1] * 4}
    strided = conv | {"strides": [1, 2, 2, 1], "padding": "VALID"}
    axes = {"T": tf.float32, "Tidx": tf.int32, "keep_dims": False}
    return [
        node("image", "Placeholder", [], dtype=tf.float32),
        *(node(name, "Const", [], dtype=tf.as_dtype(value.dtype)) for name, value in WEIGHTS.items()),
        node("a", "_FusedConv2D", ["image", "kernel", "bias"], **conv, fused_ops=["BiasAdd", *steps]),
        node("b", "FusedDepthwiseConv2dNative", ["a", "depthwise", "depthwise_bias"], **strided, fused_ops=["BiasAdd"]),
        node("c", "Mean", ["b", "axes"], **axes),
        node(
            "logits",
            "_FusedMatMul",
            ["c", "dense", "dense_bias"],
            T=tf.float32,
            transpose_a=False,
            transpose_b=False,
            fused_ops=["BiasAdd"],
        ),
    ]


def write(folder: Path, nodes: list[dict[str, Any]], stored: dict[str, tuple[np.ndarray, dict[str, Any]]]) -> Path:
    """Write a model of two weight files, of which neither ends where an array ends."""
    data = b"".join(array.tobytes() for array, _ in stored.values())
    (folder / "one.bin").write_bytes(data[:101])
    (folder / "two.bin").write_bytes(data[101:])
    weights = []
    for name, (array, quantization) in stored.items():
        entry = {"name": name, "shape": list(array.shape), "dtype": WEIGHTS[name].dtype.name}
        weights.append(entry | ({"quantization": quantization} if quantization else {}))
    content = {
        "modelTopology": {"node": nodes, "versions": {"producer": 716}},
        "weightsManifest": [{"paths": ["one.bin", "two.bin"], "weights": weights}],
    }
    path = folder / "model.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def run(graph: Any, image: np.ndarray) -> np.ndarray:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(graph, name="")
        return session.run("logits:0", {"image:0": image})


def expected(image: np.ndarray, weights: dict[str, np.ndarray], activation: Any) -> np.ndarray:
    a = activation(tf.nn.conv2d(image, weights["kernel"], 1, "SAME") + weights["bias"])
    b = tf.nn.depthwise_conv2d(a, weights["depthwise"], [1, 2, 2, 1], "VALID") + weights["depthwise_bias"]
    return tf.reduce_mean(b, [1, 2]).numpy() @ weights["dense"] + weights["dense_bias"]


@pytest.mark.parametrize(("steps", "activation"), [([], tf.identity), (["Relu"], tf.nn.relu), (["Relu6"], tf.nn.relu6)])
def test_fused_operations_are_separated(tmp_path: Path, steps: list[str], activation: Any) -> None:
    path = write(tmp_path, model(steps), {name: (array, {}) for name, array in WEIGHTS.items()})
    graph = tfjs.convert(path)
    assert not {one.op for one in graph.node} & set(tfjs._FUSED)
    assert {"a", "b", "c", "logits"} <= {one.name for one in graph.node}
    image = RNG.normal(size=(2, 8, 7, 2)).astype(np.float32)
    np.testing.assert_allclose(run(graph, image), expected(image, WEIGHTS, activation), atol=1e-5)


def test_weights_stored_as_smaller_numbers(tmp_path: Path) -> None:
    stored, restored = {}, dict(WEIGHTS)
    for name, array in WEIGHTS.items():
        stored[name] = array, {}
    low, scale = -3.0, 0.025
    counts = np.round((WEIGHTS["kernel"] - low) / scale).astype(np.uint8)
    stored["kernel"] = counts, {"dtype": "uint8", "scale": scale, "min": low, "original_dtype": "float32"}
    restored["kernel"] = (counts.astype(np.float64) * scale + low).astype(np.float32)
    half = WEIGHTS["bias"].astype(np.float16)
    stored["bias"] = half, {"dtype": "float16", "original_dtype": "float32"}
    restored["bias"] = half.astype(np.float32)
    graph = tfjs.convert(write(tmp_path, model(["Relu"]), stored))
    image = RNG.normal(size=(1, 8, 8, 2)).astype(np.float32)
    np.testing.assert_allclose(run(graph, image), expected(image, restored, tf.nn.relu), atol=1e-5)


def test_an_unknown_step_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, model(["Prelu"]), {name: (array, {}) for name, array in WEIGHTS.items()})
    with pytest.raises(NotImplementedError, match="a: _FusedConv2D with Prelu"):
        tfjs.convert(path)


def test_the_command_writes_a_graph(tmp_path: Path) -> None:
    path = write(tmp_path, model([]), {name: (array, {}) for name, array in WEIGHTS.items()})
    tfjs.main(str(path), str(tmp_path / "out.pb"))
    written = tf.compat.v1.GraphDef.FromString((tmp_path / "out.pb").read_bytes())
    assert [one.name for one in written.node] == [one.name for one in tfjs.convert(path).node]
