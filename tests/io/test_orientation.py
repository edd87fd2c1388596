"""Photos stand upright, as Pillow turns them by the orientation in their Exif data."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps
from support.served_model import ServedModel

import visualcnn_tf as vc
from visualcnn_tf.io.images import read_image
from visualcnn_tf.pixels.photos import read_photos
from visualcnn_tf.video.frames import open_frames

HEIGHT, WIDTH = 16, 24
#: A smooth picture without any symmetry, which JPEG hardly changes.
_X, _Y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
PIXELS = np.stack([200 * _X, 200 * _Y, 100 * _X * _Y + 50], -1).astype(np.uint8)
TOLERANCE = 8  # levels: TensorFlow decodes JPEG with a faster transform


def exif(orientation: int, order: str = "<", before: int = 0, at: int = 8) -> bytes:
    """Exif data in one byte order, with other entries before the orientation, and the directory at some position."""
    others = b"".join(struct.pack(f"{order}HHII", 0xF0 + n, 4, 1, 7) for n in range(before))
    entry = struct.pack(f"{order}HHIHH", 0x112, 3, 1, orientation, 0)
    directory = struct.pack(f"{order}H", before + 1) + others + entry + bytes(4)
    start = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, at)
    return b"Exif\0\0" + start + bytes(at - 8) + directory


def jpeg(exif: bytes | None = None, mode: str = "RGB", **options: Any) -> bytes:
    content = io.BytesIO()
    kept = {} if exif is None else {"exif": exif}
    Image.fromarray(PIXELS).convert(mode).save(content, "JPEG", quality=100, subsampling=0, **kept, **options)
    return content.getvalue()


def after_start(content: bytes, marker: int, body: bytes) -> bytes:
    """Return a JPEG with one more segment, before all others."""
    return content[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + content[2:]


def upright(content: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert(mode)).astype(int)


def read(content: bytes, folder: Path, channels: int = 3) -> np.ndarray:
    (folder / "photo.jpg").write_bytes(content)
    return np.asarray(read_image(folder / "photo.jpg", channels)).astype(int)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_in_every_byte_order(orientation: int, order: str, tmp_path: Path) -> None:
    content = jpeg(exif(orientation, order))
    want = upright(content)
    assert want.shape == ((WIDTH, HEIGHT, 3) if orientation > 4 else (HEIGHT, WIDTH, 3))
    np.testing.assert_allclose(read(content, tmp_path), want, atol=TOLERANCE)


def test_the_orientations_differ() -> None:
    pictures = [upright(jpeg(exif(orientation))).tobytes() for orientation in range(1, 9)]
    assert len(set(pictures)) == 8


@pytest.mark.parametrize(
    "content",
    [
        jpeg(exif(6), progressive=True),
        jpeg(exif(6, before=20)),
        jpeg(exif(6, at=100)),
        after_start(jpeg(exif(6)), 0xFE, b"a comment"),
        after_start(jpeg(exif(6)), 0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"),
        after_start(jpeg(exif(6)), 0xE2, bytes(65_000)),
    ],
    ids=["progressive", "other entries", "a later directory", "a comment", "XMP", "a long segment"],
)
def test_wherever_the_orientation_stands(content: bytes, tmp_path: Path) -> None:
    assert upright(content).shape == (WIDTH, HEIGHT, 3)
    np.testing.assert_allclose(read(content, tmp_path), upright(content), atol=TOLERANCE)


def test_a_gray_photo(tmp_path: Path) -> None:
    content = jpeg(exif(8), "L")
    np.testing.assert_allclose(read(content, tmp_path, 1)[..., 0], upright(content, "L"), atol=TOLERANCE)


def test_pillows_own_exif_data(tmp_path: Path) -> None:
    data = Image.Exif()
    data[0x010F], data[0x0110], data[0x112] = "a maker", "a model with a name of some length", 3
    content = jpeg(data.tobytes())
    np.testing.assert_allclose(read(content, tmp_path), upright(content), atol=TOLERANCE)


@pytest.mark.parametrize(
    "data",
    [
        None,
        exif(0),
        exif(9),
        exif(255),
        b"Exif\0\0",
        b"Exif\0\0II",
        exif(6)[:20],
        exif(6).replace(struct.pack("<I", 8), struct.pack("<I", 2**32 - 1), 1),
        exif(6).replace(struct.pack("<H", 1), struct.pack("<H", 2**16 - 1), 1)[:18],
    ],
    ids=["none", "0", "9", "255", "no TIFF", "no directory", "cut off", "beyond the end", "too many entries"],
)
def test_without_an_orientation_pixels_are_as_stored(data: bytes | None, tmp_path: Path) -> None:
    want = np.asarray(Image.open(io.BytesIO(jpeg()))).astype(int)
    np.testing.assert_allclose(read(jpeg(data), tmp_path), want, atol=TOLERANCE)


def test_many_segments_end(tmp_path: Path) -> None:
    content = jpeg(exif(6))
    for _ in range(5000):
        content = after_start(content, 0xFE, b"")
    assert read(content, tmp_path).shape == (HEIGHT, WIDTH, 3)  # the Exif data stands too far behind


# wherever photos are read --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedModel]:
    """A model whose predictions are the pixels of its image, as large as an upright photo."""
    image = keras.Input((WIDTH, HEIGHT, 3), name="image")
    same = keras.layers.Conv2D(3, 1, use_bias=False, name="same")
    model = keras.Model(image, keras.layers.Flatten()(same(image)))
    same.kernel.assign(np.eye(3)[None, None])
    folder = vc.export_saved_model(vc.attach(model), tmp_path_factory.mktemp("export") / "m", pixels="0..255")
    with ServedModel(folder) as runtime:
        yield runtime


@pytest.mark.parametrize("orientation", range(5, 9))
def test_a_server_turns_photos_too(orientation: int, served: ServedModel) -> None:
    content = jpeg(exif(orientation))
    batch = np.array([content, jpeg(exif(orientation, ">"))], object)
    got = served.predict("serving_bytes", {"image_bytes": batch})["predictions"]
    want = upright(content).reshape(-1)
    np.testing.assert_allclose(got, [want, want], atol=TOLERANCE)


def test_images_for_a_model_and_frames_of_a_film_are_upright(tmp_path: Path) -> None:
    content = jpeg(exif(6))
    (tmp_path / "1.jpg").write_bytes(content)
    images = read_photos([tmp_path / "1.jpg"], (None, WIDTH, HEIGHT, 3), vc.Pixels())
    np.testing.assert_allclose(images[0], upright(content), atol=TOLERANCE)
    (frame,) = open_frames(tmp_path)
    np.testing.assert_allclose(frame.astype(int), upright(content), atol=TOLERANCE)
