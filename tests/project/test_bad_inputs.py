"""Each row of the table of bad inputs: no traceback, no silent success, and the message that the page promises."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.bad_inputs import ROWS, WORKS, Row, page
from support.detectors import for_bad_inputs
from support.graph_models import write_odd
from support.hostile_files import IMAGES, write_all
from support.masks import X as canvas  # noqa: N811
from support.masks import raw, segmenter
from support.models_of_elements import models_of_elements
from support.served_model import ServedError, ServedModel
from support.small_cnn import small_cnn
from support.transformers import mit, mixer, swin, vit
from support.unusual_attention import BUILDERS

import visualcnn_tf as vc
from visualcnn_tf import errors
from visualcnn_tf.cli.main import main
from visualcnn_tf.io.images import read_image

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


class RefusedError(Exception):
    """A command that ended with an exit code other than 0, or a request that was not answered."""


def _beside_a_table() -> keras.Model:
    """A model of an image and a table; the map of the table is no picture of the image."""
    image, table = keras.Input((12, 12, 3)), keras.Input((16,))
    maps = keras.layers.Conv2D(2, 3, name="of_table")(keras.layers.Reshape((4, 4, 1))(table))
    flat = [keras.layers.Flatten()(one) for one in (image, maps)]
    return keras.Model([image, table], keras.layers.Dense(2)(keras.layers.Concatenate()(flat)))


class World:
    """What the rows of the table are tried on."""

    def __init__(self, folder: Path) -> None:
        write_all(folder)
        write_odd(folder)
        self.folder = folder
        model = small_cnn()
        rescales = small_cnn(before=[keras.layers.Rescaling(1 / 255, name="to_unit")])
        rescales.save(folder / "rescales.keras")
        explained = vc.attach(model)
        images = np.random.default_rng(0).random((2, 12, 12, 3)).astype("float32")
        visualizer = vc.Visualizer(model, small_layers=True)
        visualizer.heatmap(images[0])
        self.names = {
            **{name: getattr(vc, name) for name in vc.__all__},
            "np": np,
            "keras": keras,
            "folder": folder,
            "model": model,
            **models_of_elements(),
            **for_bad_inputs(),
            **BUILDERS,
            **{build.__name__: build for build in (mit, mixer, swin, vit)},
            "beside_a_table": _beside_a_table(),
            "of_tokens": vit(),
            "explained": explained,
            "told": vc.attach(model, pixels="0..1"),
            "rescales": rescales,
            "asked": vc.attach(model, "last", method="gradcam", target="input"),
            "masks": segmenter(activation="softmax"),
            "class_indices": segmenter(keras.layers.Softmax(), keras.layers.Lambda(lambda p: tf.argmax(p, -1))),
            "one_channel": segmenter(classes=1),
            "backbone": keras.Sequential([keras.Input((9, 9, 3)), keras.layers.Conv2D(8, 3)]),
            "regions": raw(segmenter(activation="softmax"), target=vc.targets.Mask(1, region="input")),
            "canvas": canvas[:2],
            "images": images,
            "visualizer": visualizer,
            "outputs": explained.predict(images, verbose=0),
        }
        self.server = ServedModel(vc.export_saved_model(explained, folder / "served", pixels="0..255", verify=False))
        self.capsys: Any = None

    def command(self, words: list[str]) -> bool:
        before = {path: path.stat().st_mtime_ns for path in self.folder.iterdir()}
        try:
            status = main(words)
        except SystemExit as stop:
            status = stop.code
        said = self.capsys.readouterr().err
        if not status:
            return True
        assert "Traceback" not in said
        assert before == {path: path.stat().st_mtime_ns for path in self.folder.iterdir()}, "something was left behind"
        raise RefusedError(status, said)

    def batch_errors(self) -> list[str | None]:
        """What the rows of a job about a broken image tell."""
        import pyarrow.parquet as pq

        out = self.folder / "job"
        vc.explain_dataset(self.names["told"], self.folder / "broken", out, workers=0)
        return pq.read_table(out / "data")["error"].to_pylist()

    def request(self, name: str) -> None:
        """The image after a good one, in one request."""
        self.served("serving_bytes", image_bytes=np.array([IMAGES["good.png"], IMAGES[name]], object))

    def reads_the_same(self, name: str) -> bool:
        """Whether file and request give the heatmaps of the pixels that the test of this image expects."""
        pixels = np.asarray(read_image(self.folder / name, 3))
        assert pixels.shape == (12, 12, 3)
        np.testing.assert_allclose(pixels.astype(float), EXPECTED[name](), atol=1)
        got = self.served("serving_bytes", image_bytes=np.array([IMAGES[name]], object))
        want = self.names["explained"](pixels[None].astype("float32"))
        for key, value in want.items():
            np.testing.assert_allclose(got[key], value, atol=1e-4)
        return True

    def served(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """The answer of TensorFlow's C loader, which TensorFlow Serving is built on."""
        try:
            return self.server.predict(signature, inputs)
        except ServedError as error:
            raise RefusedError(error.status, str(error)) from error


def _opened(name: str) -> Any:
    """What Pillow makes of a file: another reader."""
    from io import BytesIO

    from PIL import Image

    return np.asarray(Image.open(BytesIO(IMAGES[name])).convert("RGB")).astype(float)


EXPECTED: dict[str, Any] = {
    **{
        name: (lambda name=name: _opened(name))
        for name in ("animated.gif", "frames.gif", "later_bomb.gif", "palette.png", "transparent.png")
    },
    "first_row_first.bmp": lambda: _opened("good.png")[::-1],
    "sixteen.png": lambda: np.full((12, 12, 3), 0xAB),
    "cmyk.jpg": lambda: np.broadcast_to([255, 0, 0], (12, 12, 3)),
    "turned.jpg": lambda: np.rot90(tf.io.decode_jpeg(IMAGES["good.jpg"]), -1),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of writing a Lambda layer and .h5 files
        world = World(tmp_path_factory.mktemp("world"))
    with world.server:
        yield world


@pytest.fixture
def world(made: World, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(made.folder)
    made.capsys = capsys
    yield made
    assert (made.folder / "thesis" / "thesis.tex").read_text() == "years of work"


def outcome(row: Row, world: World) -> tuple[str, str]:
    """What happens, and what is said."""
    try:
        result = row.run(world)
    except RefusedError as refused:
        status, said = refused.args
        return status if isinstance(status, str) else f"exit code {status}", said
    except Exception as error:
        return type(error).__name__, str(error)
    assert result is not None
    assert bool(result), "it did not do as said"
    return WORKS, row.said


@pytest.mark.sweep(cases=180)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.area}: {row.given}")
def test_bad_input(row: Row, world: World) -> None:
    if row.area in ("explain_dataset", "read_maps") or row.given.startswith("`visualcnn batch"):
        pytest.importorskip("pyarrow")
    happens, said = outcome(row, world)
    assert happens == row.happens, said
    assert row.said in said
    if happens == "exit code 2" and not said.startswith("usage: "):
        assert said.startswith("visualcnn: error: ")
        assert said.count("\n") == 1
    ran = world.folder / "ran"  # what the code in the malicious files does
    assert ran.exists() == ("--trust-model" in row.given)
    ran.unlink(missing_ok=True)


def test_errors_are_of_the_package_or_of_the_users_own_code() -> None:
    own = {name for name in vars(errors) if name.endswith(("Error", "SizeTooSmall"))}
    foreign = {row.given for row in ROWS if row.happens not in {*own, WORKS, "exit code 2", "INVALID_ARGUMENT"}}
    assert foreign == {"`attach(model, method=lambda maps: 1 / 0)`", "`attach(model, name='a/b')`"}


def test_the_table_is_large_and_without_repetition() -> None:
    given = [(row.area, row.given) for row in ROWS]
    assert len(set(given)) == len(given) >= 60


def test_the_page_is_made_of_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tests/support/bad_inputs.py > docs/errors.md"


def test_nobody_has_written_to_devices() -> None:
    assert not Path("/dev/full").is_file()
    assert not os.path.lexists("/dev/full.png")
