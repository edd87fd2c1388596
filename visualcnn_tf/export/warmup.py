"""Requests that TensorFlow Serving sends to a model itself before clients may, so that no client waits for the first.

TensorFlow plans its kernels and its memory on the first request, which therefore takes many times as long as the
others. See https://www.tensorflow.org/tfx/serving/saved_model_warmup.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")


def write_warmup(folder: Path, model_name: str, examples: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes one request for each signature into a SavedModel, if ``tensorflow-serving-api`` is installed.

    Args:
        folder: of the SavedModel.
        model_name: what the requests are addressed to; the server that warms up a model does not look at it.
        examples: for each signature, its inputs. They must be valid: the server does not load a model whose warmup
            fails.
    """
    try:
        from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog
    except ImportError:
        return
    (folder / WARMUP_FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / WARMUP_FILE)) as records:
        for signature, inputs in examples.items():
            log = PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = model_name
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            records.write(log.SerializeToString())
