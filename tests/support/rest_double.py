"""TensorFlow Serving's REST interface, row format, over a ServedModel. It is not TensorFlow Serving."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import tensorflow as tf

from support.served_model import NAME, ServedError, ServedModel

MAX_BODY = 4 * 1024 * 1024


def decoded(value: Any) -> Any:
    """Base64 objects, at any depth, as bytes."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value


def columns(instances: list[Any], described: Any) -> dict[str, np.ndarray]:
    """The rows of a request as one array for each input; a model of one input may leave out its name."""
    named = all(isinstance(row, dict) and set(row) != {"b64"} for row in instances)
    rows = instances if named else [dict.fromkeys(described, row) for row in instances]
    types = {name: tf.as_dtype(info.dtype).as_numpy_dtype for name, info in described.items()}
    return {name: np.array([decoded(row[name]) for row in rows], types[name]) for name in described}


def rows(outputs: dict[str, np.ndarray]) -> list[Any]:
    """The outputs of each example, without a name when there is just one."""
    lists = {name: value.tolist() for name, value in outputs.items()}
    if len(lists) == 1:
        return next(iter(lists.values()))
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


class Handler(BaseHTTPRequestHandler):
    model: ServedModel
    timeout = 30

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if not 0 < length <= MAX_BODY:
            return self.answer(413, {"error": "The body is empty or too large."})
        body = self.rfile.read(length)
        if self.path not in (f"/v1/models/{NAME}:predict", f"/v1/models/{NAME}/versions/1:predict"):
            return self.answer(404, {"error": f"Malformed request: POST {self.path}"})
        try:
            request = json.loads(body)
            signature = request.get("signature_name", "")
            inputs = columns(request["instances"], self.model.signature(signature).inputs)
            return self.answer(200, {"predictions": rows(self.model.predict(signature, inputs))})
        except (ServedError, ValueError, TypeError, KeyError) as error:
            return self.answer(400, {"error": str(error)})

    def answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def rest_double(model: ServedModel) -> Iterator[str]:
    """Serves a model on a free port of this machine alone; yields its URL."""
    handler = type("ModelHandler", (Handler,), {"model": model})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/models/{NAME}"
        finally:
            server.shutdown()
            thread.join()
