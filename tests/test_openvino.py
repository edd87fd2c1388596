"""A second runtime reads the SavedModel: OpenVINO, which shares no code with TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_kinds import KINDS, images
from served_model import seeded_cnn

import visualcnn_tf as vc
from visualcnn_tf.methods import ACTIVATION_FUSIONS

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed: `pip install openvino`")


def run(folder: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of ``serving_default``, by name."""
    core = openvino.Core()
    # By default the CPU may compute in bfloat16 where it can.
    compiled = core.compile_model(core.read_model(folder), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(inputs)
    return {name: results[output] for output in compiled.outputs for name in output.names}


def assert_same(folder: Path, explained: Any, inputs: dict[str, np.ndarray], given: Any) -> None:
    served = run(folder, inputs)
    want = explained(given)
    assert set(want) <= set(served)
    for key, value in want.items():
        np.testing.assert_allclose(served[key], value, atol=1e-4, err_msg=key)


def test_cnn(tmp_path: Path) -> None:
    explained = vc.attach(seeded_cnn(), combine="mean")
    folder = vc.export_saved_model(explained, tmp_path / "m", preprocess="0..1")
    x = images(3, 12, 12, 1)
    assert_same(folder, explained, {"image": x}, x)


@pytest.mark.parametrize("method", ACTIVATION_FUSIONS)
def test_methods(method: str, tmp_path: Path) -> None:
    explained = vc.attach(seeded_cnn(), method=method)
    folder = vc.export_saved_model(explained, tmp_path / "m", signatures=["serving_default"])
    x = images(2, 12, 12, 1)
    assert_same(folder, explained, {"image": x}, x)


def test_nested_model(tmp_path: Path) -> None:
    case = KINDS["nested_functional"]()
    explained = vc.attach(case.model)
    folder = vc.export_saved_model(explained, tmp_path / "m", signatures=["serving_default"])
    inputs = explained.plan.inputs
    assert_same(folder, explained, dict(zip(inputs.names, inputs.flatten(case.inputs), strict=True)), case.inputs)
