"""Exported files in runtimes other than Keras: OpenVINO, LiteRT, TensorFlow's own command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.warmup import WARMUP_FILE

NO_SERVING = "needs `pip install --no-deps tensorflow-serving-api`"


def run_openvino(folder: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of ``serving_default``, by name."""
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed: `pip install openvino`")
    core = openvino.Core()
    # By default the CPU may compute in bfloat16 where it can.
    compiled = core.compile_model(core.read_model(folder), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(inputs)
    return {name: results[output] for output in compiled.outputs for name in output.names}


def assert_openvino_equals_keras(folder: Path, explained: Any, inputs: dict[str, np.ndarray], given: Any) -> None:
    served = run_openvino(folder, inputs)
    want = explained(given)
    assert set(want) <= set(served)
    for key, value in want.items():
        np.testing.assert_allclose(served[key], value, atol=1e-4, err_msg=key)


def run_litert(path: Path, x: Any, **others: Any) -> dict[str, np.ndarray]:
    """The outputs for images one by one."""
    runner = interpreter(path.read_bytes()).get_signature_runner("serving_default")
    single = [{name: value[i : i + 1] for name, value in others.items()} for i in range(len(x))]
    results = [runner(image=image[None], **other) for image, other in zip(x, single, strict=True)]
    return {name: np.concatenate([result[name] for result in results]) for name in results[0]}


def saved_model_cli(*arguments: object) -> str:
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", *map(str, arguments)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def warmup_requests(folder: Path) -> dict[str, Any]:
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2", reason=NO_SERVING).PredictionLog
    records = [log.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(folder / WARMUP_FILE))]
    assert all(record.WhichOneof("log_type") == "predict_log" for record in records)
    requests = [record.predict_log.request for record in records]
    return {request.model_spec.signature_name: request for request in requests}
