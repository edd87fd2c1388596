"""Which operations XNNPACK really runs: each operation of a file, alone in a file of its own, in LiteRT."""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import pytest
from support.method_objects import ACTIVATION_METHODS, GRADIENT_METHODS
from support.model_kinds import small_cnn_layers
from tensorflow.lite.tools import flatbuffer_utils

import visualcnn_tf as vc

compiled_model = pytest.importorskip("ai_edge_litert.compiled_model", reason="needs `pip install ai-edge-litert`")
from ai_edge_litert.hardware_accelerator import HardwareAccelerator  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
_ENOUGH = 4  # files of each type


def single_operations(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The type of an operation, and a file of it alone, with the same shapes, types and constants."""
    file = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    count: dict[str, int] = defaultdict(int)
    for graph in file.subgraphs:
        for operation in graph.operators:
            name = flatbuffer_utils.opcode_to_name(file, operation.opcodeIndex)
            count[name] += 1
            if count[name] <= _ENOUGH:
                yield name, alone(file, graph, operation)


def alone(file: Any, graph: Any, operation: Any) -> bytes:
    numbers = sorted({int(n) for n in (*operation.inputs, *operation.outputs) if n >= 0})
    position = {number: i for i, number in enumerate(numbers)}
    one, part, only = copy.copy(file), copy.copy(graph), copy.copy(operation)
    part.tensors = [copy.copy(graph.tensors[number]) for number in numbers]
    one.buffers = [file.buffers[0]]
    for tensor in part.tensors:
        one.buffers.append(file.buffers[tensor.buffer])
        tensor.buffer = len(one.buffers) - 1
    only.inputs = [position.get(int(n), -1) for n in operation.inputs]
    only.outputs = part.outputs = [position[int(n)] for n in operation.outputs]
    is_constant = [one.buffers[tensor.buffer].data is not None for tensor in part.tensors]
    part.inputs = [n for n in only.inputs if n >= 0 and not is_constant[n]]
    part.operators, one.subgraphs, one.signatureDefs, one.metadata = [only], [part], [], []
    return bytes(flatbuffer_utils.convert_object_to_bytearray(one))


def is_accelerated(content: bytes) -> bool:
    return bool(compiled_model.CompiledModel.from_buffer(content, HardwareAccelerator.CPU).is_fully_accelerated())


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"method": [*ACTIVATION_METHODS, *GRADIENT_METHODS], "target": "input"},
        {"interpolation": "bicubic", "heatmap_dtype": "uint8", "combine": "product"},
    ],
    ids=["methods", "options"],
)
def test_the_report_agrees_with_xnnpack(tmp_path: Path, options: dict[str, Any]) -> None:
    model = keras.Sequential([keras.Input((12, 12, 1), name="image"), *small_cnn_layers()])
    report = vc.export_tflite(vc.attach(model, **options), tmp_path / "m.tflite", verify=False)
    found: dict[str, list[bool]] = defaultdict(list)
    for name, content in single_operations(report.path.read_bytes()):
        found[name].append(is_accelerated(content))
    assert set(found) == set(report.ops)
    # XNNPACK runs these on floats, but not on class indices.
    assert {name for name, each in found.items() if len(set(each)) > 1} <= {"RESHAPE", "STRIDED_SLICE"}
    assert report.outside_xnnpack == tuple(sorted(name for name, each in found.items() if not any(each)))
    assert set(report.outside_xnnpack) <= set(re.findall(r"`([A-Z_0-9]+)`", PAGE.read_text()))
