"""A SavedModel with many clients at once, some of whose requests are bad.

The server is the stand-in of the tests, ``tests/support/grpc_double.py``: real gRPC and real messages of TensorFlow
Serving, with TensorFlow's C loader in a process without Keras, but not TensorFlow Serving itself. It listens on this
machine only.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import visualcnn_tf as vc
from tools.soak.subject import SHAPE, SoakError, attached, check_same, cnn, images
from tools.soak.threads import run_together

CLIENTS = 64
_BAD_ONE_IN = 10
_TESTS = Path(__file__).parents[2] / "tests"


def clients(requests: int) -> dict[str, str]:
    """Send many requests; every good one must be answered correctly, and every bad one refused."""
    try:
        from tensorflow_serving.apis import prediction_service_pb2_grpc  # noqa: F401
    except ImportError as error:
        raise SoakError(f"not run: {error}. `pip install --no-deps tensorflow-serving-api`.") from None

    sys.path.insert(0, str(_TESTS))
    from support.grpc_double import grpc_double
    from support.served_model import ServedModel

    explained = attached(cnn())
    with tempfile.TemporaryDirectory() as folder:
        path = vc.export_saved_model(explained, Path(folder, "m"), pixels="0..1")
        with ServedModel(path) as model, grpc_double(model) as address:
            jobs = [_client(number, requests, explained, address) for number in range(CLIENTS)]
            run_together(jobs, seconds=900)
    bad = sum(_is_bad(number, turn) for number in range(CLIENTS) for turn in range(requests))
    good = CLIENTS * requests - bad
    return {"clients": str(CLIENTS), "good requests, all correct": f"{good:,}", "bad ones, all refused": f"{bad:,}"}


def _client(number: int, requests: int, explained: Any, address: str) -> Callable[[], None]:
    """Return a job that sends requests with an image of its own and checks the answers."""
    import grpc
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    pixels = (255 * images(1, number)).astype("uint8")
    png = tf.io.encode_png(pixels[0]).numpy()
    want = explained(pixels / np.float32(255))

    def send() -> None:
        with grpc.insecure_channel(address) as channel:
            stub = PredictionServiceStub(channel)
            for turn in range(requests):
                if _is_bad(number, turn):
                    _refused(lambda turn=turn: _predict(stub, *_bad(turn)), grpc.RpcError)
                else:
                    check_same(f"client {number}", _predict(stub, "serving_bytes", "image_bytes", [png]), want)

    return send


def _is_bad(number: int, turn: int) -> bool:
    """Return whether a client sends a bad request."""
    return (number + turn) % _BAD_ONE_IN == 0


def _predict(stub: Any, signature: str, name: str, value: Any) -> dict[str, np.ndarray]:
    """Send one request; return the outputs by name."""
    from support.served_model import NAME
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = NAME, signature
    request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return {key: tf.make_ndarray(tensor) for key, tensor in stub.Predict(request, timeout=300).outputs.items()}


def _bad(turn: int) -> tuple[str, str, Any]:
    """Return the signature, the name and the value of a bad input."""
    kinds: list[tuple[str, str, Any]] = [
        ("serving_bytes", "image_bytes", [b"no image"]),
        ("serving_default", "image", np.zeros((1, SHAPE[0] + 1, *SHAPE[1:]), np.float32)),
        ("serving_default", "image", np.zeros((1, *SHAPE), np.int32)),
        ("nothing", "image", np.zeros((1, *SHAPE), np.float32)),
        ("serving_default", "picture", np.zeros((1, *SHAPE), np.float32)),
    ]
    return kinds[turn % len(kinds)]


def _refused(request: Callable[[], Any], error: type[Exception]) -> None:
    """Raise unless a request is refused."""
    try:
        request()
    except error:
        return
    raise SoakError("A bad request was answered.")
