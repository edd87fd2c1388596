"""The server of the web page: what it sends, what it refuses, and which model files it accepts."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.model_kinds import small_cnn_layers

import visualcnn_tf as vc
from visualcnn_tf.cli.main import main
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.web.files import LITERT, PAGE, routes
from visualcnn_tf.web.model_file import check_model_file
from visualcnn_tf.web.server import make_server

EXAMPLE = Path(__file__).parents[2] / "examples" / "web"


def small_cnn() -> keras.Model:
    return keras.Sequential([keras.Input((12, 12, 1), name="image"), *small_cnn_layers()])


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "explained.tflite"
    vc.export_tflite(vc.attach(small_cnn()), path, verify=False)
    return path


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like npm's, with a stand-in for LiteRT.js."""
    folder = tmp_path_factory.mktemp("npm") / "node_modules"
    for name in ("core/dist/index.js", "core/wasm/run.js", "core/wasm/run.wasm", "core/secret.txt"):
        file = folder / "@litertjs" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    scripts = folder / "@litertjs/wasm-utils/dist"
    scripts.mkdir(parents=True)
    (scripts / "index.js").touch()
    return folder


@pytest.fixture(scope="module")
def port(model_file: Path, modules: Path) -> Iterator[int]:
    with make_server(routes(model_file, modules)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html?pixels=-1..1", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/npm/@litertjs/core/dist/index.js", "text/javascript; charset=utf-8"),
        ("/npm/@litertjs/wasm-utils/dist/index.js", "text/javascript; charset=utf-8"),
        ("/npm/@litertjs/core/wasm/run.wasm", "application/wasm"),
        ("/model.tflite", "application/octet-stream"),
    ],
)
def test_files_are_sent_with_their_type(port: int, path: str, content_type: str):
    response, body = ask(port, path)
    assert response.status == 200
    assert response.headers["Content-Type"] == content_type
    assert int(response.headers["Content-Length"]) == len(body)


def test_the_model_and_the_page_are_sent_completely(port: int, model_file: Path):
    assert ask(port, "/model.tflite")[1] == model_file.read_bytes()
    assert ask(port, "/")[1] == (PAGE / "index.html").read_bytes()


@pytest.mark.parametrize("path", ["/", "/nothing"])
def test_every_answer_has_the_headers_for_threads_and_safety(port: int, path: str):
    headers = ask(port, path)[0].headers
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert "'wasm-unsafe-eval'" in policy["script-src"]
    assert "unsafe-inline" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/../server.py",
        "/npm/../../../../etc/passwd",
        "/%2e%2e/server.py",
        "/..%2fserver.py",
        "//etc/passwd",
        "/npm/@litertjs/core/secret.txt",
        "/npm/@litertjs/core/wasm/",
        "/explained.tflite",
    ],
)
def test_other_files_are_not_found(port: int, path: str):
    response, body = ask(port, path)
    assert (response.status, body) == (404, b"")


def raw_answer(port: int, request: bytes) -> bytes:
    """Send these bytes, and return all that the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


SECRET = "root:"


STEPS = (
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%uff0e%uff0e",
    "..%00",
    "....//",
    "..;",
    "..%5c",
    "..\\",
    "%2e%2e%2f",
    "%2e%2e%5c",
    "..%252f",
    "..%c0%af",
    "..%ef%bc%8f",
    "..?",
    "..#",
    "~",
    "\xff\xfe",
)


@pytest.mark.parametrize("start", ["/", "//", "/npm/", "/npm/@litertjs/core/wasm/", "", "file:///", "\\\\"])
def test_no_encoding_leads_out_of_the_table(port: int, start: str):
    host = f"Host: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    for step in STEPS:
        for count in (1, 12):
            path = f"{start}{'/'.join([step] * count)}/etc/passwd"
            answer = raw_answer(port, f"GET {path} HTTP/1.1\r\n{host}".encode("latin-1"))
            assert SECRET.encode() not in answer, path
            # `..?` and `..#` end the path early, so that it may be that of the page.
            assert status(answer) in (400, 404) or answer.endswith((PAGE / "index.html").read_bytes()), path


def test_a_body_is_refused_and_not_read_as_another_request(port: int):
    smuggled = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    for header in (f"Content-Length: {len(smuggled)}", "Content-Length: 99999999999", "Transfer-Encoding: chunked"):
        request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{header}\r\n\r\n".encode()
        answer = raw_answer(port, request + smuggled)
        assert status(answer) == 413
        assert answer.count(b"HTTP/1.1 ") == 1


def test_large_requests_are_refused(port: int):
    assert status(raw_answer(port, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n")) == 414
    many = b"".join(b"X-%d: y\r\n" % number for number in range(200))
    assert status(raw_answer(port, b"GET / HTTP/1.1\r\n" + many + b"\r\n")) == 431
    assert status(raw_answer(port, b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n")) == 431
    assert ask(port, "/")[0].status == 200


@pytest.mark.parametrize(
    "request_line", [b"", b"\0", b"GET", b"GET /", b"\xff" * 100, b"GET / HTTP/9.9", b"BREW / HTTP/1.1"]
)
def test_garbage_neither_stops_the_server_nor_prints(port: int, request_line: bytes, capfd: Any):
    raw_answer(port, request_line + b"\r\n\r\n")
    assert ask(port, "/")[0].status == 200
    assert capfd.readouterr() == ("", "")


def test_another_address_of_this_machine_does_not_answer(port: int):
    with socket.socket() as other:
        other.settimeout(5)
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_head_returns_headers_alone(port: int, model_file: Path):
    response, body = ask(port, "/model.tflite", "HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) == model_file.stat().st_size


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(port: int, method: str):
    response, _ = ask(port, "/", method)
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


def test_the_host_name_of_another_site_is_refused(port: int):
    assert ask(port, "/", Host=f"example.com:{port}")[0].status == 421
    assert ask(port, "/", Host=f"localhost:{port}")[0].status == 200


def test_it_listens_on_this_machine_only(model_file: Path, modules: Path):
    with make_server(routes(model_file, modules)) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_deleted_model_is_not_found(tmp_path: Path, modules: Path):
    files = {**routes(tmp_path / "gone.tflite", modules)}
    with make_server(files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert ask(server.server_port, "/model.tflite")[0].status == 404
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("opens", [True, False])
def test_the_command_opens_the_page_until_it_is_ended(
    model_file: Path, modules: Path, opens: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or opens)

    def interrupted(server: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("socketserver.BaseServer.serve_forever", interrupted)
    words = ["web", str(model_file), "--modules", str(modules), "--port", "0"]
    assert main([*words, "--pixels", "-1..1"]) == 0
    said = capsys.readouterr().out
    [address] = opened
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?pixels=-1\.\.1", address)
    assert f"Serving {model_file} at {address} (Ctrl-C ends it)." in said
    assert ("open the address yourself" in said) != opens
    assert main([*words, "--no-browser"]) == 0
    assert len(opened) == 1


def test_a_port_in_use_is_refused(model_file: Path, modules: Path, capsys: Any):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = ["web", str(model_file), "--modules", str(modules), "--no-browser", "--port", port]
        assert main(words) == 2
    assert f"`--port` must be a free port from 0 to 65535. Received: {port}." in capsys.readouterr().err


def test_an_impossible_port_is_refused(model_file: Path, modules: Path):
    with pytest.raises(InvalidArgumentError, match="`--port` must be"):
        make_server(routes(model_file, modules), 70000)


def test_a_missing_runtime_is_reported_with_the_command_that_installs_it(model_file: Path, tmp_path: Path, capsys: Any):
    assert main(["web", str(model_file), "--modules", str(tmp_path), "--no-browser"]) == 2
    assert f"npm install --prefix . @litertjs/core@{LITERT}" in capsys.readouterr().err


def test_the_example_installs_the_tested_release():
    package = json.loads((EXAMPLE / "package.json").read_text())
    assert package["dependencies"]["@litertjs/core"] == LITERT
    lock = json.loads((EXAMPLE / "package-lock.json").read_text())
    assert lock["packages"]["node_modules/@litertjs/core"]["version"] == LITERT
    assert not any("resolved" in entry for entry in lock["packages"].values())


def test_all_imported_scripts_exist():
    text = "".join(path.read_text() for path in PAGE.glob("*.js"))
    imported = {line.split('"')[1] for line in text.splitlines() if line.startswith("import ") and '"./' in line}
    assert imported
    assert all((PAGE / name).is_file() for name in imported)


def exported(path: Path, *options: Any, **export: Any) -> Path:
    vc.export_tflite(*options, path, verify=False, **export)
    return path


def test_an_exported_file_is_accepted(model_file: Path):
    check_model_file(model_file)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\0\0\0TFL3" + bytes(40)])
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path, modules: Path, capsys: Any):
    path = tmp_path / "wrong.tflite"
    path.write_bytes(content)
    assert main(["web", str(path), "--modules", str(modules), "--no-browser"]) == 2
    assert "`MODEL` must be a file that `visualcnn export MODEL --tflite FILE` wrote" in capsys.readouterr().err


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InvalidArgumentError, match="There is no file"):
        check_model_file(tmp_path / "missing.tflite")


def test_models_that_the_page_cannot_run_are_refused(tmp_path: Path):
    model = small_cnn()
    with pytest.raises(InvalidArgumentError, match="no heatmaps"):
        check_model_file(exported(tmp_path / "bare.tflite", model))
    with pytest.raises(InvalidArgumentError, match="fixed batch"):
        check_model_file(exported(tmp_path / "open.tflite", vc.attach(model), batch_size=None))
    with pytest.raises(InvalidArgumentError, match="is float16"):
        check_model_file(exported(tmp_path / "half.tflite", vc.attach(model, heatmap_dtype="float16")))
    signal = keras.Sequential([keras.Input((32, 2)), keras.layers.Conv1D(4, 3), keras.layers.GlobalAveragePooling1D()])
    with pytest.raises(InvalidArgumentError, match="one image"):
        check_model_file(exported(tmp_path / "signal.tflite", vc.attach(signal)))


def test_a_model_of_another_origin_is_refused(tmp_path: Path, modules: Path, capsys: Any):
    module = tf.Module()
    double = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([1, 4, 4, 1])])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([double.get_concrete_function()], module)
    (tmp_path / "other.tflite").write_bytes(converter.convert())
    assert main(["web", str(tmp_path / "other.tflite"), "--modules", str(modules), "--no-browser"]) == 2
    assert "It has no heatmaps among its outputs." in capsys.readouterr().err


def test_a_class_index_does_not_count_as_an_image(tmp_path: Path):
    explained = vc.attach(small_cnn(), layers="last", method="gradcam", target="input")
    path = exported(tmp_path / "asked.tflite", explained)
    check_model_file(path)
    assert np.int32 in {details["dtype"] for details in _inputs(path)}


def _inputs(path: Path) -> Any:
    from visualcnn_tf.export.tflite_interpreter import interpreter

    return interpreter(path.read_bytes()).get_signature_runner("serving_default").get_input_details().values()
