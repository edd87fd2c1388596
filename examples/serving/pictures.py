"""Heatmaps from a server as pictures: each by itself, and laid over its image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageOps

OPACITY = 0.5


def write_pictures(image_file: Path, outputs: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``<image>_<output>.png`` and ``<image>_<output>_overlay.png`` for each heatmap of one image.

    Args:
        image_file: The image that was sent.
        outputs: The answer for this image: arrays or nested lists by name. Other outputs than heatmaps are skipped.
        folder: The folder for the pictures; it is created if it is missing.

    Returns:
        The files that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = ImageOps.exif_transpose(Image.open(image_file)).convert("RGB")  # upright, as the server sees it
    written = []
    for name in sorted(outputs):
        if not name.startswith("heatmap"):
            continue
        heatmap = colored(np.asarray(outputs[name])).resize(image.size, Image.Resampling.BILINEAR)
        for picture, ending in ((heatmap, ""), (Image.blend(image, heatmap, OPACITY), "_overlay")):
            written.append(folder / f"{image_file.stem}_{name}{ending}.png")
            picture.save(written[-1])
    return written


def colored(heatmap: np.ndarray) -> Image.Image:
    """Return a heatmap, floats from 0 to 1 or integers from 0 to 255, in colors from blue to red."""
    values = heatmap / 255 if heatmap.dtype.kind in "iu" else heatmap
    colors: np.ndarray = matplotlib.colormaps["turbo"](np.clip(values, 0, 1), bytes=True)
    return Image.fromarray(colors[..., :3])


def summary(outputs: Mapping[str, Any]) -> str:
    """Return the class with the highest score, or that the image could not be read."""
    if "valid" in outputs and not outputs["valid"]:
        return "not a readable image"
    scores = np.ravel(outputs["predictions"])
    return f"class {int(scores.argmax())}, score {float(scores.max()):.3f}"
