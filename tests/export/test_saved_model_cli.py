"""TensorFlow's own command line shows and runs an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.runtimes import saved_model_cli
from support.served_model import export


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    return export(tmp_path_factory.mktemp("export"))


@pytest.mark.slow
def test_show(exported: tuple[Any, Path]) -> None:
    _, folder = exported
    listed = saved_model_cli("show", "--dir", folder, "--tag_set", "serve")
    for signature in ("serving_default", "serving_bytes", "predict", "pixels"):
        assert f'SignatureDef key: "{signature}"' in listed
    shown = saved_model_cli("show", "--dir", folder, "--tag_set", "serve", "--signature_def", "serving_default")
    outputs = shown.partition("output(s)")[2]
    assert "inputs['image'] tensor_info:\n      dtype: DT_FLOAT\n      shape: (-1, 12, 12, 1)" in shown
    assert "outputs['heatmap'] tensor_info:\n      dtype: DT_UINT8\n      shape: (-1, 12, 12)" in outputs
    assert "outputs['predictions'] tensor_info:\n      dtype: DT_FLOAT\n      shape: (-1, 4)" in outputs


@pytest.mark.slow
def test_run(exported: tuple[Any, Path], tmp_path: Path) -> None:
    explained, folder = exported
    image = np.random.default_rng(0).random((2, 12, 12, 1)).astype("float32")
    np.save(tmp_path / "image.npy", image)
    options = ["--tag_set", "serve", "--signature_def", "serving_default", "--outdir", tmp_path / "out"]
    saved_model_cli("run", "--dir", folder, *options, "--inputs", f"image={tmp_path / 'image.npy'}")
    want = explained(image)
    assert {path.stem for path in (tmp_path / "out").iterdir()} == set(want)
    for key, value in want.items():
        tolerance = 1.0 if value.dtype == tf.uint8 else 1e-5
        got = np.load(tmp_path / "out" / f"{key}.npy").astype(float)
        np.testing.assert_allclose(got, np.asarray(value), atol=tolerance)
