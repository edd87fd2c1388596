"""Rows of panels with titles, as JPEG files that are small enough for documents."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

#: The largest file in bytes.
LIMIT = 150_000
_GAP, _TITLE, _FONT = 8, 20, 12
_FONT_FILE = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
_BACKGROUND, _INK, _BOX = "white", "black", (77, 230, 255)


class Panel(NamedTuple):
    """A picture with a title, and a box on it: left, top, right, bottom in pixels."""

    title: str
    pixels: np.ndarray
    box: Sequence[float] | None = None


def sheet(rows: Sequence[Sequence[Panel]], height: int) -> Any:
    """Return one picture of rows of panels, each of this height."""
    drawn = [[_scaled(panel, height) for panel in row] for row in rows]
    width = max(sum(image.width + _GAP for image in row) for row in drawn) - _GAP
    page = Image.new("RGB", (width, len(rows) * (height + _TITLE + _GAP) - _GAP), _BACKGROUND)
    pen, font = ImageDraw.Draw(page), ImageFont.truetype(str(_FONT_FILE), _FONT)
    for number, (row, images) in enumerate(zip(rows, drawn, strict=True)):
        top, left = number * (height + _TITLE + _GAP), 0
        for panel, image in zip(row, images, strict=True):
            pen.text((left, top + 2), panel.title, fill=_INK, font=font)
            page.paste(image, (left, top + _TITLE))
            left += image.width + _GAP
    return page


def _scaled(panel: Panel, height: int) -> Any:
    image = Image.fromarray(np.asarray(panel.pixels, np.uint8))
    scale = height / image.height
    image = image.resize((round(image.width * scale), height), Image.Resampling.LANCZOS)
    if panel.box is not None:
        ImageDraw.Draw(image).rectangle([side * scale for side in panel.box], outline=_BOX, width=3)
    return image


def save(page: Any, path: Path) -> int:
    """Write a JPEG file of at most ``LIMIT`` bytes and return its size."""
    for quality in (88, 80, 70, 60):
        buffer = BytesIO()
        page.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= LIMIT:
            path.write_bytes(buffer.getvalue())
            return buffer.tell()
    raise ValueError(f"{path.name}: {buffer.tell()} bytes, more than {LIMIT}")
