"""Files with operations that devices lack are recognized, and never written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from support.model_kinds import small_cnn_layers

import visualcnn_tf as vc
from visualcnn_tf.errors import UnsupportedOperationError
from visualcnn_tf.export import tflite
from visualcnn_tf.export.report import ExportReport
from visualcnn_tf.export.tflite_operations import count_ops, foreign_ops


def cnn() -> Any:
    return keras.Sequential([keras.Input((12, 12, 2), name="image"), *small_cnn_layers()])


def converted(function: Any, **options: Any) -> bytes:
    graph = tf.function(function, input_signature=[tf.TensorSpec((2, 3, 3))], autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.get_concrete_function()])
    converter.allow_custom_ops = options.get("custom", False)
    if "select" in options:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return bytes(converter.convert())


def flex() -> bytes:
    """An operation of TensorFlow, for which a device would need another library."""
    return converted(tf.math.erf, select=True)


def custom() -> bytes:
    """A custom operation, which no runtime has."""
    return converted(lambda x: tf.linalg.svd(x, compute_uv=False), custom=True)


def unfrozen() -> bytes:
    """Variables that are never initialized: what the converter makes of a Keras 3 model that is passed to it."""
    model = cnn()
    function = tf.function(model, input_signature=[tf.TensorSpec((1, 12, 12, 2))], autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], model)
    return bytes(converter.convert())


@pytest.mark.parametrize(("file", "name"), [(flex, "FlexErf"), (custom, "Svd"), (unfrozen, "VAR_HANDLE")])
def test_such_a_file_is_not_written(file: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = file()
    ops = count_ops(content)
    assert any(name in found for found in foreign_ops(ops)), ops
    assert not ExportReport(tmp_path, len(content), None, ops, (), {}).builtin_only
    monkeypatch.setattr(tflite, "convert", lambda *_: content)
    with pytest.raises(UnsupportedOperationError, match=rf"operations that devices lack: .*{name}"):
        vc.export_tflite(cnn(), tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())


def test_an_export_has_builtin_operations_only(tmp_path: Path) -> None:
    assert foreign_ops(vc.export_tflite(vc.attach(cnn(), method="gradcam"), tmp_path / "m.tflite").ops) == []
