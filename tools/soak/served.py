"""A SavedModel under many clients at once, some of whose requests are bad.

The server is the stand-in of the tests, ``tests/support/grpc_double.py``: real gRPC, real messages of TensorFlow
Serving, TensorFlow's C loader in a process without Keras; not TensorFlow Serving itself. It listens
on this machine only.
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
from tools.soak.threads import together

CLIENTS = 64
_BAD_ONE_IN = 10
_TESTS = Path(__file__).parents[2] / "tests"


def clients(requests: int) -> dict[str, str]:
    """Every good request is answered rightly, every bad one is refused, whatever the others send."""
    try:
        import grpc
        from tensorflow_serving.apis import predict_pb2
        from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub
    except ImportError as error:
        raise SoakError(f"not run: {error}. `pip install --no-deps tensorflow-serving-api`.") from None

    sys.path.insert(0, str(_TESTS))
    from support.grpc_double import grpc_double
    from support.served_model import NAME, ServedModel

    explained = attached(cnn())
    pixels = [(255 * images(1, seed)).astype("uint8") for seed in range(CLIENTS)]
    want = [explained(one / np.float32(255)) for one in pixels]

    def ask(stub: Any, signature: str, name: str, value: Any) -> Any:
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = NAME, signature
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        return {key: tf.make_ndarray(tensor) for key, tensor in stub.Predict(request, timeout=300).outputs.items()}

    def client(number: int, address: str) -> Callable[[], None]:
        good = tf.io.encode_png(pixels[number][0]).numpy()

        def send() -> None:
            with grpc.insecure_channel(address) as channel:
                stub = PredictionServiceStub(channel)
                for turn in range(requests):
                    if (number + turn) % _BAD_ONE_IN == 0:
                        _refused(lambda turn=turn: ask(stub, *_bad(turn)), grpc.RpcError)
                    else:
                        check_same(f"client {number}", ask(stub, "serving_bytes", "image_bytes", [good]), want[number])

        return send

    with tempfile.TemporaryDirectory() as folder:
        path = vc.export_saved_model(explained, Path(folder, "m"), preprocess="0..1")
        with ServedModel(path) as model, grpc_double(model) as address:
            together([client(number, address) for number in range(CLIENTS)], seconds=900)
    bad = sum((number + turn) % _BAD_ONE_IN == 0 for number in range(CLIENTS) for turn in range(requests))
    good = CLIENTS * requests - bad
    return {"clients": str(CLIENTS), "good requests, all right": f"{good:,}", "bad ones, all refused": f"{bad:,}"}


def _bad(turn: int) -> tuple[str, str, Any]:
    """A signature, an input and what is wrong with it."""
    kinds: list[tuple[str, str, Any]] = [
        ("serving_bytes", "image_bytes", [b"no image"]),
        ("serving_default", "image", np.zeros((1, SHAPE[0] + 1, *SHAPE[1:]), np.float32)),
        ("serving_default", "image", np.zeros((1, *SHAPE), np.int32)),
        ("nothing", "image", np.zeros((1, *SHAPE), np.float32)),
        ("serving_default", "picture", np.zeros((1, *SHAPE), np.float32)),
    ]
    return kinds[turn % len(kinds)]


def _refused(ask: Callable[[], Any], error: type[Exception]) -> None:
    try:
        ask()
    except error:
        return
    raise SoakError("A bad request was answered.")
