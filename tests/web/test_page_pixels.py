"""The page's own reading of pixels, in Node.js: the same numbers as in Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from support.small_cnn import small_cnn

import visualcnn_tf as vc
from visualcnn_tf.pixels.files import with_pixels
from visualcnn_tf.pixels.names import VALUES
from visualcnn_tf.pixels.scaling import Scaling
from visualcnn_tf.web.files import PAGE

CODE = """
import { readFileSync } from "node:fs";
import { fitBoxes } from "./fit.js";
import { readPixels } from "./metadata.js";
import { SCALINGS } from "./pixels.js";
const { files, fits } = JSON.parse(process.argv[2]);
const read = files.map((file) => readPixels(new Uint8Array(readFileSync(file))));
console.log(JSON.stringify({ scalings: SCALINGS, read, boxes: fits.map((fit) => fitBoxes(...fit)) }));
"""
PIXELS = [None, *map(vc.Pixels, VALUES), vc.Pixels(Scaling(2.0, (1, 2, 3), (4, 5, 6)), "pad"), vc.Pixels(tf.sqrt)]
FITS = [
    ((30, 20), (12, 12), "squeeze"),
    ((30, 20), (12, 12), "crop"),
    ((20, 30), (12, 12), "pad"),
    ((6, 4), (12, 12), "pad"),
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no program 'node'")
    folder = tmp_path_factory.mktemp("page")
    for path in PAGE.glob("*.js"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "main.js").write_text(CODE)
    content = tf.lite.TFLiteConverter.from_keras_model(small_cnn()).convert()
    files = [folder / f"{number}.tflite" for number in range(len(PIXELS))]
    for file, pixels in zip(files, PIXELS, strict=True):
        file.write_bytes(content if pixels is None else with_pixels(content, pixels))
    given = json.dumps({"files": list(map(str, files)), "fits": FITS})
    done = subprocess.run([node, folder / "main.js", given], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def scaled(about: dict[str, Any], photo: np.ndarray) -> np.ndarray:
    photo = photo[..., ::-1] if about["order"] == "BGR" else photo
    return (photo / about["unit"] - about["mean"]) / about["std"]


def test_the_page_scales_as_python_does(said: dict[str, Any]) -> None:
    photo = np.random.default_rng(0).uniform(0, 255, (1, 3, 3, 3))
    assert set(said["scalings"]) == set(VALUES)
    for name, about in said["scalings"].items():
        np.testing.assert_allclose(scaled(about, photo), vc.Pixels(name).scale(photo), atol=1e-3)


def test_the_page_reads_what_the_file_says(said: dict[str, Any]) -> None:
    photo = np.random.default_rng(0).uniform(0, 255, (1, 3, 3, 3))
    assert said["read"][0] is None
    assert said["read"][-1] is None
    for about, pixels in zip(said["read"][1:-1], PIXELS[1:-1], strict=True):
        assert about["values"] == (pixels.values if isinstance(pixels.values, str) else None)
        assert about["fit"] == pixels.fit
        np.testing.assert_allclose(scaled(about, photo), pixels.scale(photo), atol=1e-3)


@pytest.mark.parametrize("number", range(len(FITS)))
def test_the_page_fits_as_python_does(said: dict[str, Any], number: int) -> None:
    (width, height), size, fit = FITS[number]
    left, top, wide, high = said["boxes"][number]["seen"]
    ramps = np.stack(np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij"), -1)
    x0, y0, across, down = said["boxes"][number]["filled"]
    fitted = vc.Pixels(fit=fit).fitted(ramps, size[::-1]).numpy()
    rows = top + (np.arange(size[1]) + 0.5 - y0) * high / down
    columns = left + (np.arange(size[0]) + 0.5 - x0) * wide / across
    inner = slice(4, -4)  # where no border shines in
    np.testing.assert_allclose(fitted[inner, size[0] // 2, 0], rows[inner], atol=0.1)
    np.testing.assert_allclose(fitted[size[1] // 2, inner, 1], columns[inner], atol=0.1)
