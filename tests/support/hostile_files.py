"""Files that nobody should trust: images and models that are broken, odd or malicious."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from PIL import Image

from support.small_cnn import small_cnn

SIZE = (12, 12)
PIXELS = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype("uint8")


def encoded(image: Any, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(content, kind, **options)
    return content.getvalue()


# Images -------------------------------------------------------------------------------------------------------------


def huge_png(width: int, height: int) -> bytes:
    """A header that claims so many pixels, and none of them."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    checked = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(checked)


def zeros_in_lzw(count: int) -> bytes:
    """So many pixels of color 0, compressed as GIF does: the k-th code of the table is a run of k - 4 of them."""
    codes, size, free, run, left = [(4, 3), (0, 3)], 3, 6, 1, count - 1
    while left:
        longer = free < 4096 and left > run
        length = run + 1 if longer else min(left, run)
        codes.append((free if longer else (0 if length == 1 else length + 4), size))
        left, run = left - length, run + longer
        if free < 4096:
            free += 1
            size += free == 1 << size and size < 12
    bits = used = 0
    for code, width in [*codes, (5, size)]:
        bits, used = bits | code << used, used + width
    return bits.to_bytes((used + 7) // 8, "little")


def gif(screen: tuple[int, int], frame: tuple[int, int], count: int) -> bytes:
    """Black frames that may be larger than the screen that the header tells of."""
    data = zeros_in_lzw(frame[0] * frame[1])
    parts = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255)) + b"\0"
    one = b"\x2c" + struct.pack("<HHHHB", 0, 0, *frame, 0) + b"\x02" + parts
    palette = bytes(3) + b"\xff\0\0" + b"\0\xff\0" + b"\0\0\xff"
    return b"GIF89a" + struct.pack("<HHBBB", *screen, 0x81, 0, 0) + palette + one * count + b";"


def first_row_first(bmp: bytes) -> bytes:
    return bmp[:22] + struct.pack("<i", -SIZE[0]) + bmp[26:]


def turned() -> Any:
    exif = Image.Exif()
    exif[0x112] = 6
    return exif


_SMOOTH = np.broadcast_to(np.linspace(0, 255, SIZE[1])[None, :, None], (*SIZE, 3)).astype("uint8")
_JPEG, _PNG = encoded(_SMOOTH, "JPEG", quality=100), encoded(PIXELS, "PNG")
_OTHERS = [Image.fromarray(np.roll(PIXELS, n, 0)) for n in range(1, 4)]

IMAGES: dict[str, bytes] = {
    "good.png": _PNG,
    "good.jpg": _JPEG,
    "empty.png": b"",
    "text.png": b"no picture",
    "signature.png": _PNG[:8],
    "truncated.png": _PNG[: len(_PNG) // 2],
    "truncated.jpg": _JPEG[: len(_JPEG) // 2],
    "start.jpg": _JPEG[:2],
    "start.gif": b"GIF89a",
    "start.bmp": b"BM",
    "huge.png": huge_png(20_000, 8_000),
    "overflowing.png": huge_png(2**31 - 1, 2**31 - 1),
    "flat.png": huge_png(0, 5),
    "bomb.gif": gif((8, 8), (9000, 9000), 1),
    "frames.gif": gif(SIZE, SIZE, 2000),
    "later_bomb.gif": gif(SIZE, SIZE, 1)[:-1] + gif(SIZE, (9000, 9000), 30)[25:],
    "picture.webp": encoded(PIXELS, "WEBP"),
    "picture.tiff": encoded(PIXELS, "TIFF"),
    "sixteen.png": encoded(np.full(SIZE, 0xABCD, "uint16"), "PNG"),
    "cmyk.jpg": encoded(Image.new("CMYK", SIZE, (0, 255, 255, 0)), "JPEG", quality=100),
    "turned.jpg": encoded(_SMOOTH, "JPEG", quality=100, exif=turned()),
    "transparent.png": encoded(np.dstack([PIXELS, np.zeros(SIZE, "uint8")]), "PNG"),
    "palette.png": encoded(Image.fromarray(PIXELS).quantize(4), "PNG"),
    "animated.gif": encoded(_OTHERS[0], "GIF", save_all=True, append_images=_OTHERS[1:]),
    "first_row_first.bmp": first_row_first(encoded(PIXELS, "BMP")),
}


# Models -------------------------------------------------------------------------------------------------------------


def rewritten(source: Path, path: Path, **members: Any) -> None:
    """A .keras file with other members: None leaves one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = members.get(name.replace(".", "_"), old.read(name))
            if content is not None:
                new.writestr(name, content)


def calling(module: str, name: str, config: Any) -> bytes:
    """A configuration that would have a function called instead of a model made."""
    return json.dumps({"module": module, "class_name": name, "config": config, "registered_name": name}).encode()


def write_models(folder: Path) -> None:
    good = folder / "model.keras"
    small_cnn().save(good)
    small_cnn(size=None).save(folder / "any_size.keras")
    keras.Sequential([keras.Input((4,)), layers.Dense(2)]).save(folder / "table.keras")
    code = f"lambda x: x if open({str(folder / 'ran')!r}, 'w').close() else x"
    lambdas = small_cnn(before=[layers.Lambda(eval(code), output_shape=(*SIZE, 3))])
    lambdas.save(folder / "lambda.keras")
    lambdas.save(folder / "lambda.h5")
    small_cnn().save(folder / "model.h5")
    content, hdf5 = good.read_bytes(), (folder / "model.h5").read_bytes()
    (folder / "ran").unlink(missing_ok=True)
    (folder / "truncated.keras").write_bytes(content[: len(content) // 2])
    (folder / "empty.keras").write_bytes(b"")
    (folder / "truncated.h5").write_bytes(hdf5[: len(hdf5) // 2])
    rewritten(good, folder / "no_config.keras", config_json=None)
    rewritten(good, folder / "no_weights.keras", model_weights_h5=None)
    rewritten(good, folder / "bad_weights.keras", model_weights_h5=b"no weights")
    rewritten(good, folder / "bad_config.keras", config_json=b"{")
    rewritten(good, folder / "deep.keras", config_json=b"[" * 100_000)
    rewritten(good, folder / "system.keras", config_json=calling("os", "system", {"command": f"touch {folder}/ran"}))
    rewritten(good, folder / "eval.keras", config_json=calling("builtins", "eval", {"source": "1"}))
    unsafe = calling("keras.config", "enable_unsafe_deserialization", {})
    rewritten(good, folder / "unsafe.keras", config_json=unsafe)
    download = calling("keras.utils", "get_file", {"fname": "x", "origin": "http://127.0.0.1:9/x"})
    rewritten(good, folder / "download.keras", config_json=download)


def write_all(folder: Path) -> None:
    """Everything, for the command line."""
    write_models(folder)
    for name, content in IMAGES.items():
        (folder / name).write_bytes(content)
    (folder / "sp ace").mkdir()
    (folder / "sp ace" / "mödel 漢.keras").write_bytes((folder / "model.keras").read_bytes())
    (folder / "sp ace" / "pictüre.png").write_bytes(_PNG)
    for name in ("frames", "nothing", "thesis", "broken"):
        (folder / name).mkdir()
    (folder / "frames" / "1.png").write_bytes(_PNG)
    (folder / "broken" / "1.png").write_bytes(b"no picture")
    (folder / "thesis" / "thesis.tex").write_text("years of work")
    (folder / "latin.txt").write_bytes("café\nb\nc\n".encode("latin-1"))
    (folder / "two.txt").write_text("a\nb\n")
    (folder / "three.txt").write_bytes(b"\xef\xbb\xbfa\nb\nc\n")
