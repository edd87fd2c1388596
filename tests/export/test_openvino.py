"""A second runtime reads the SavedModel: OpenVINO, which shares no code with TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.method_objects import ACTIVATION_METHODS
from support.model_kinds import KINDS, images
from support.runtimes import assert_openvino_equals_keras
from support.served_model import seeded_cnn

import visualcnn_tf as vc


def test_cnn(tmp_path: Path) -> None:
    explained = vc.attach(seeded_cnn(), combine="mean")
    folder = vc.export_saved_model(explained, tmp_path / "m", pixels="0..1")
    x = images(3, 12, 12, 1)
    assert_openvino_equals_keras(folder, explained, {"image": x}, x)


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("method", ACTIVATION_METHODS)
def test_methods(method: str, tmp_path: Path) -> None:
    explained = vc.attach(seeded_cnn(), method=method)
    folder = vc.export_saved_model(explained, tmp_path / "m", signatures=["serving_default"])
    x = images(2, 12, 12, 1)
    assert_openvino_equals_keras(folder, explained, {"image": x}, x)


def test_nested_model(tmp_path: Path) -> None:
    case = KINDS["nested_functional"]()
    explained = vc.attach(case.model)
    folder = vc.export_saved_model(explained, tmp_path / "m", signatures=["serving_default"])
    inputs = explained.plan.inputs
    assert_openvino_equals_keras(
        folder, explained, dict(zip(inputs.names, inputs.flatten(case.inputs), strict=True)), case.inputs
    )
