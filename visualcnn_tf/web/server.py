"""Serve one page and one model, to this machine only."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
import shutil
import webbrowser
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.pixels.files import read_pixels
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.web.files import CONTENT_TYPES, routes
from visualcnn_tf.web.model_file import check_model_file

HOST = "127.0.0.1"
_IMPORT_MAP = re.compile(rb'<script type="importmap">(.*?)</script>', re.DOTALL)


def serve(model: Path, *, modules: Path, port: int = 8000, pixels: str | None = None, browser: bool = True) -> None:
    """Serve the page until Ctrl-C, and open it in the browser.

    Args:
        model: A TensorFlow Lite file with heatmaps and a batch size of 1.
        modules: The folder ``node_modules`` that holds LiteRT.js.
        port: The port to listen on; 0 for any free one.
        pixels: What the model takes where an image has pixels of 0 to 255, such as ``"0..1"`` or the name of a module
            of ``keras.applications``; None for what the file says.
        browser: Whether to open the page.

    Raises:
        InvalidArgumentError: If the port is in use, or the page cannot run the file.
        MissingExtraError: If LiteRT.js is not in ``modules``.
    """
    check_model_file(model)
    known = read_pixels(model)
    asked = None if pixels is None else Pixels(pixels)
    with make_server(routes(model, modules), port) as server:
        query = "" if asked is None else f"?pixels={quote(str(asked.values))}"
        address = f"http://{HOST}:{server.server_port}/{query}"
        print(_about(asked, known))
        print(f"Serving {model} at {address} (Ctrl-C ends it).", flush=True)
        if browser and not webbrowser.open(address):
            print("No browser can be opened here: open the address yourself.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _about(asked: Pixels | None, known: Pixels | None) -> str:
    """Return a sentence on the pixel values that the page starts with."""
    if asked is not None:
        return f"Pixels: {asked.values}."
    if known is not None:
        return f"Pixels: {known.values}, as the file says."
    return "Pixels: 0..1, assumed, because the file does not tell; --pixels or the page change it."


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # On Windows this would allow two servers to share a port.
    allow_reuse_address = os.name != "nt"


def make_server(files: Mapping[str, Path], port: int = 0) -> ThreadingHTTPServer:
    """Return a server that listens, but answers only once its ``serve_forever`` is called.

    Args:
        files: The file behind each path; "/" is the page.
        port: The port to listen on; 0 for any free one.

    Raises:
        InvalidArgumentError: If the port is in use, or not a port.
    """
    policy = _content_policy(files["/"].read_bytes())
    handler = type("Handler", (_Handler,), {"files": files, "content_policy": policy})
    try:
        return _Server((HOST, port), handler)
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise bad_value("--port", "a free port from 0 to 65535", port, "`--port 0` takes any that is free.") from error


def _content_policy(page: bytes) -> str:
    """Return the content security policy: the page loads from its own origin alone.

    The import map is allowed by its hash, because browsers don't load one from a file.
    """
    scripts = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in _IMPORT_MAP.findall(page)]
    hashes = " ".join(f"'sha256-{digest}'" for digest in scripts)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'wasm-unsafe-eval' {hashes}",
            "worker-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


class _Handler(BaseHTTPRequestHandler):
    files: Mapping[str, Path]
    content_policy: str
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _refuse(self) -> None:
        self.close_connection = True  # the rest of the request is not read
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD", "Content-Length": "0"})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815 - the base class requires these names

    def _answer(self, body: bool) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # or the body, which is not read, would be taken for the next request
            self._send_empty(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        port = self.connection.getsockname()[1]
        # Another site whose name was made to resolve to this machine would send its own name here.
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._send_empty(HTTPStatus.MISDIRECTED_REQUEST)
            return
        path = self.files.get(urlsplit(self.path).path)
        if path is None:
            self._send_empty(HTTPStatus.NOT_FOUND)
        else:
            self._send_file(path, body)

    def _send_file(self, path: Path, body: bool) -> None:
        try:
            file = path.open("rb")
        except OSError:  # deleted since the server was started
            self._send_empty(HTTPStatus.NOT_FOUND)
            return
        with file:
            size = os.fstat(file.fileno()).st_size
            kind = CONTENT_TYPES.get(path.suffix, "application/octet-stream")
            self._send(HTTPStatus.OK, {"Content-Type": kind, "Content-Length": str(size)})
            if body:
                shutil.copyfileobj(file, self.wfile)

    def _send_empty(self, status: HTTPStatus) -> None:
        self._send(status, {"Content-Length": "0"})

    def _send(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def end_headers(self) -> None:
        """Add the headers that every answer has, errors included, and end the headers."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", self.content_policy)
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")  # this and the next allow threads
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Permissions-Policy", "camera=(self)")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def version_string(self) -> str:
        """Return the value of the header ``Server``, without versions."""
        return "visualcnn"

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the terminal is the user's."""
