"""The clients of examples/serving, run against the stand-ins of TensorFlow Serving's two interfaces."""

from __future__ import annotations

import importlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.rest_double import MAX_BODY, rest_double
from support.served_model import NAME, ServedModel, export

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "serving"
REASON = "needs `pip install --no-deps tensorflow-serving-api`"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return export(tmp_path_factory.mktemp("export"), on_error="blank")


@pytest.fixture(scope="module")
def served(exported: Any) -> Iterator[ServedModel]:
    with ServedModel(exported[1]) as model:
        yield model


@pytest.fixture(scope="module")
def url(served: ServedModel) -> Iterator[str]:
    with rest_double(served) as here:
        yield here


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 12, 12)).astype("uint8")


@pytest.fixture
def pictures(pixels: np.ndarray, tmp_path: Path) -> list[Path]:
    files = [tmp_path / "first.png", tmp_path / "second.png"]
    for file, image in zip(files, pixels, strict=True):
        Image.fromarray(image).save(file)
    return files


def assert_pictures(folder: Path, explained: Any, pixels: np.ndarray) -> None:
    """The heatmap of the first image, in the colors of the table, and its even mixture with the image."""
    import matplotlib

    heatmap = np.asarray(explained(pixels[:1, ..., None] / np.float32(255))["heatmap"])[0]
    colors = matplotlib.colormaps["turbo"](heatmap / 255, bytes=True)[..., :3]
    # A heatmap may be one of 255 steps off in the other runtime, and the table changes by up to 5 with it.
    drawn = np.asarray(Image.open(folder / "first_heatmap.png")).astype(int)
    np.testing.assert_allclose(drawn, colors, atol=5)
    overlay = np.asarray(Image.open(folder / "first_heatmap_overlay.png")).astype(int)
    np.testing.assert_allclose(overlay, (drawn + pixels[0][..., None]) / 2, atol=1)
    keys = [f"{name}{end}" for name in explained.output_names[1:] for end in ("", "_overlay")]
    assert {file.name for file in folder.iterdir()} == {f"{i}_{k}.png" for i in ("first", "second") for k in keys}


def test_rest_client(
    client: Any, exported: Any, url: str, pictures: list[Path], pixels: np.ndarray, tmp_path: Path, capsys: Any
) -> None:
    client("rest_client").main([*map(str, pictures), "--url", url, "-o", str(tmp_path / "out")])
    assert_pictures(tmp_path / "out", exported[0], pixels)
    best = exported[0](pixels[..., None] / np.float32(255))["predictions"].numpy()
    assert f"first.png: class {best[0].argmax()}, score {best[0].max():.3f}; 8 pictures" in capsys.readouterr().out


def test_grpc_client(
    client: Any, exported: Any, served: ServedModel, pictures: list[Path], pixels: np.ndarray, tmp_path: Path
) -> None:
    pytest.importorskip("tensorflow_serving.apis", reason=REASON)
    from support.grpc_double import grpc_double

    grpc_client = client("grpc_client")
    with grpc_double(served) as address:
        grpc_client.main(
            [*map(str, pictures), "--address", address, "--model", NAME, "-o", str(tmp_path / "out")],
        )
        assert_pictures(tmp_path / "out", exported[0], pixels)
        answer = grpc_client.predict(address, NAME, [pictures[0].read_bytes()], wanted=["predictions"])
    assert {name: value.shape for name, value in answer.items()} == {"predictions": (1, 4)}


def test_a_bad_image_does_not_fail_the_good_ones(client: Any, url: str, pictures: list[Path]) -> None:
    good, bad = client("rest_client").predict(url, [pictures[0].read_bytes(), b"no image"])
    assert (good["valid"], bad["valid"]) == (True, False)
    assert np.max(good["heatmap"]) == 255
    assert not np.any(bad["heatmap"])
    assert client("pictures").summary(bad) == "not a readable image"


def test_a_refused_request_raises_an_error(client: Any, url: str) -> None:
    with pytest.raises(RuntimeError, match=r"404.*Malformed request"):
        client("rest_client").predict(url + "2", [b""])


def post(url: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(f"{url}:predict", body if isinstance(body, bytes) else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_rest_returns_what_keras_returns(exported: Any, url: str, pixels: np.ndarray) -> None:
    images = (pixels[..., None] / np.float32(255)).tolist()
    want = exported[0](tf.constant(images))["predictions"]
    status, named = post(url, {"signature_name": "predict", "instances": [{"image": image} for image in images]})
    assert status == 200
    np.testing.assert_allclose(named["predictions"], want, atol=1e-5)
    status, full = post(url, {"instances": images})
    assert set(full["predictions"][0]) == set(exported[0].output_names)
    np.testing.assert_allclose([row["predictions"] for row in full["predictions"]], want, atol=1e-5)


def test_the_stand_in_refuses_bad_and_large_requests(url: str) -> None:
    assert post(url, {"signature_name": "explain", "instances": [0]})[0] == 400
    assert post(url, b"{")[0] == 400
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=60)) as connection:
        connection.putrequest("POST", f"{parts.path}:predict")
        connection.putheader("Content-Length", str(MAX_BODY + 1))
        connection.endheaders()
        assert connection.getresponse().status == 413
