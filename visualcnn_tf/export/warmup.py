"""Write warmup requests, which TensorFlow Serving sends to a model itself before it accepts any from clients.

TensorFlow plans its kernels and its memory during the first request, which therefore takes many times as long as later
ones. See https://www.tensorflow.org/tfx/serving/saved_model_warmup.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from visualcnn_tf.export.types import Arrays

WARMUP_FILE = Path("assets.extra", "tf_serving_warmup_requests")


def write_warmup(folder: Path, model_name: str, examples: Mapping[str, Arrays]) -> None:
    """Write one request for each signature into a SavedModel, if ``tensorflow-serving-api`` is installed.

    Args:
        folder: The folder of the SavedModel.
        model_name: The model that the requests name; a server that warms up a model ignores it.
        examples: The inputs of each signature. They must be valid: a server does not load a model whose warmup fails.
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
