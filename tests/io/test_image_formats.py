"""`serving_bytes` decodes every kind of image file as Pillow does, in the TensorFlow C loader."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from PIL import Image
from support.served_model import ServedModel

import visualcnn_tf as vc
from visualcnn_tf.io.decode import claimed_pixels

HEIGHT, WIDTH = 6, 8


def identity_model(channels: int) -> Any:
    """Return a model whose predictions are the pixels of its image."""
    image = keras.Input((HEIGHT, WIDTH, channels), name="image")
    same = L.Conv2D(channels, 1, use_bias=False, name="same")
    return keras.Model(image, L.Flatten()(same(image)))


@pytest.fixture(scope="module", params=[1, 3], ids=["gray model", "color model"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Any]]:
    model = identity_model(request.param)
    model.get_layer("same").kernel.assign(np.eye(request.param)[None, None])
    folder = vc.export_saved_model(
        vc.attach(model), tmp_path_factory.mktemp("export") / "m", pixels="0..255", on_error="blank"
    )
    with ServedModel(folder) as runtime:
        yield request.param, runtime


def picture(mode: str, width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> Image.Image:
    """Return a smooth image, which JPEG hardly changes, with many colors."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (2, 2, 3)).astype("uint8"))
    image = small.resize((width, height), Image.Resampling.BILINEAR)
    if mode == "RGBA":
        image.putalpha(200)
        return image
    if mode == "LA":
        image = image.convert("L")
        image.putalpha(200)
        return image
    return image.quantize(64) if mode == "P" else image.convert(mode)


def as_file(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def top_down(bmp: bytes) -> bytes:
    """Return the same BMP with its top row first, which a negative height indicates."""
    start, height = int.from_bytes(bmp[10:14], "little"), int.from_bytes(bmp[22:26], "little")
    row = (len(bmp) - start) // height
    rows = [bmp[start + i * row : start + (i + 1) * row] for i in reversed(range(height))]
    return bmp[:22] + (-height).to_bytes(4, "little", signed=True) + bmp[26:start] + b"".join(rows)


FILES: dict[str, bytes] = {
    "JPEG, color": as_file(picture("RGB"), "JPEG", quality=85, subsampling=0),
    "JPEG, gray": as_file(picture("L"), "JPEG", quality=85),
    "PNG, color": as_file(picture("RGB"), "PNG"),
    "PNG, gray": as_file(picture("L"), "PNG"),
    "PNG, palette": as_file(picture("P"), "PNG"),
    "PNG, transparent": as_file(picture("RGBA"), "PNG"),
    "PNG, gray and transparent": as_file(picture("LA"), "PNG"),
    "GIF": as_file(picture("P"), "GIF"),
    "GIF, two frames": as_file(picture("P"), "GIF", save_all=True, append_images=[picture("P", seed=1)]),
    "BMP, color": as_file(picture("RGB"), "BMP"),
    "BMP, transparent": as_file(picture("RGBA"), "BMP"),
    "BMP, gray": as_file(picture("L"), "BMP"),
    "BMP, top row first": top_down(as_file(picture("RGB"), "BMP")),
}


def truth(content: bytes, channels: int) -> np.ndarray:
    """Return the pixels as Pillow reads them, transparent ones in their own colors."""
    image = Image.open(io.BytesIO(content))
    if image.mode in ("P", "RGBA"):
        image = image.convert("RGB")
    return np.asarray(image.convert("L" if channels == 1 else "RGB"), np.float32).reshape(-1)


@pytest.mark.parametrize("kind", FILES)
def test_every_format_is_decoded_as_pillow_does(served: tuple[int, Any], kind: str) -> None:
    channels, runtime = served
    got = runtime.predict("serving_bytes", {"image_bytes": np.array([FILES[kind]], object)})
    assert got["valid"].all()
    want = truth(FILES[kind], channels)
    assert np.ptp(want) > 50
    # TensorFlow decodes JPEG with a faster transform, and its weights of red, green and blue in gray differ slightly.
    np.testing.assert_allclose(got["predictions"][0], want, atol=5 if kind.startswith("JPEG") else 1)


def test_all_formats_and_sizes_fit_in_one_batch(served: tuple[int, Any]) -> None:
    _, runtime = served
    larger = as_file(picture("RGB", 4 * WIDTH, 2 * HEIGHT), "PNG")
    batch = [*FILES.values(), larger, b"GIF89a no image"]
    got = runtime.predict("serving_bytes", {"image_bytes": np.array(batch, object)})
    np.testing.assert_array_equal(got["valid"], [True] * (len(FILES) + 1) + [False])
    alone = [runtime.predict("serving_bytes", {"image_bytes": np.array([each], object)}) for each in batch]
    for key, value in got.items():
        np.testing.assert_allclose(value, np.concatenate([one[key] for one in alone]), atol=1e-5)
    assert np.ptp(got["predictions"][-2]) > 50
    assert not got["predictions"][-1].any()


def claiming(content: bytes, side: int) -> bytes:
    """Return the file with a header that claims another width and height."""
    if content.startswith(b"\xff\xd8"):
        start = content.index(b"\xff\xc0") + 5
        return content[:start] + side.to_bytes(2, "big") * 2 + content[start + 4 :]
    start, size, order = {b"\x89P": (16, 4, "big"), b"GI": (6, 2, "little"), b"BM": (18, 4, "little")}[content[:2]]
    return content[:start] + side.to_bytes(size, order) * 2 + content[start + 2 * size :]


def test_headers_of_huge_images_are_refused(served: tuple[int, Any]) -> None:
    _, runtime = served
    huge = [claiming(FILES[kind], 20_000) for kind in ("JPEG, color", "PNG, color", "GIF", "BMP, color")]
    assert [int(claimed_pixels(each)) for each in huge] == [20_000**2] * 4
    batch = np.array([*huge, FILES["PNG, gray"]], object)
    got = runtime.predict("serving_bytes", {"image_bytes": batch})
    np.testing.assert_array_equal(got["valid"], [False] * 4 + [True])
    assert not got["predictions"][:4].any()
