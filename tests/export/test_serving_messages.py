"""The messages between a client and TensorFlow Serving, over a real gRPC connection on this machine.

This tests the messages: names, types and shapes in real PredictRequests and PredictResponses, and what TensorFlow's
C loader makes of them. The server is the small stand-in of grpc_double.py and not TensorFlow Serving itself.

The same tests run against the real one where there is one:

- With ``tensorflow_model_server`` on the PATH it is started here.
- With ``TF_SERVING_URL=HOST:PORT`` (of gRPC) a running one is asked, which serves the folder that
  ``python tests/support/served_model.py FOLDER`` has written, under the name ``cnn``.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.served_model import NAME, ServedModel, export

REASON = "needs `pip install --no-deps tensorflow-serving-api`"
grpc = pytest.importorskip("grpc")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2", reason=REASON)

MODEL_SERVER = shutil.which("tensorflow_model_server")
URL = os.environ.get("TF_SERVING_URL")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return export(tmp_path_factory.mktemp("export"))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module", params=["stand-in", "TensorFlow Serving"])
def address(request: pytest.FixtureRequest, exported: Any) -> Iterator[str]:
    _, folder = exported
    if request.param == "stand-in":
        from support.grpc_double import grpc_double

        with ServedModel(folder) as model, grpc_double(model) as here:
            yield here
    elif URL:
        yield URL
    elif MODEL_SERVER:
        with running_server(folder.parent) as here:
            yield here
    else:
        pytest.skip("no tensorflow_model_server on the PATH, and TF_SERVING_URL is not set")


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    port = free_port()
    options = [f"--port={port}", f"--model_name={NAME}", f"--model_base_path={folder}"]
    process = subprocess.Popen([str(MODEL_SERVER), *options])
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def predict(address: str) -> Iterator[Any]:
    """Calls Predict: a signature, its inputs, and the outputs that are wanted."""
    from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

    def call(signature: str, inputs: dict[str, np.ndarray], wanted: tuple[str, ...] = (), name: str = NAME) -> Any:
        request = predict_pb2.PredictRequest(output_filter=wanted)
        request.model_spec.name, request.model_spec.signature_name = name, signature
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        return stub.Predict(request, timeout=60)

    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=120)
        stub = PredictionServiceStub(channel)
        yield call


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 12, 12, 1)).astype("uint8")


def assert_outputs(response: Any, want: dict[str, Any]) -> None:
    assert set(response.outputs) == set(want)
    for key, value in want.items():
        got = tf.make_ndarray(response.outputs[key])
        value = np.asarray(value)
        assert (got.dtype, got.shape) == (value.dtype, value.shape)
        np.testing.assert_allclose(got.astype(float), value, atol=1.0 if got.dtype == np.uint8 else 1e-5)


def test_tensors(exported: Any, predict: Any, pixels: np.ndarray) -> None:
    explained, _ = exported
    image = pixels / np.float32(255)
    want = explained(image)
    assert want["heatmap"].dtype == tf.uint8
    assert_outputs(predict("serving_default", {"image": image}), want)
    assert_outputs(predict("", {"image": image}), want)
    assert_outputs(predict("predict", {"image": image}), {"predictions": want["predictions"]})


def test_encoded_images(exported: Any, predict: Any, pixels: np.ndarray) -> None:
    explained, _ = exported
    pictures = np.array([tf.io.encode_png(picture).numpy() for picture in pixels], object)
    assert_outputs(predict("serving_bytes", {"image_bytes": pictures}), explained(pixels / np.float32(255)))


def test_output_filter_selects_outputs(exported: Any, predict: Any, pixels: np.ndarray) -> None:
    explained, _ = exported
    image = pixels / np.float32(255)
    response = predict("serving_default", {"image": image}, ("heatmap",))
    assert_outputs(response, {"heatmap": explained(image)["heatmap"]})


def test_errors(predict: Any, pixels: np.ndarray) -> None:
    with pytest.raises(grpc.RpcError) as unreadable:
        predict("serving_bytes", {"image_bytes": np.array([b"no image"], object)})
    assert unreadable.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "no readable JPEG, PNG, GIF or BMP image at index] [0]" in unreadable.value.details()
    with pytest.raises(grpc.RpcError) as unknown:
        predict("explain", {"image": pixels})
    assert unknown.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.RpcError) as elsewhere:
        predict("predict", {"image": pixels}, name="another")
    assert elsewhere.value.code() == grpc.StatusCode.NOT_FOUND
