"""Pixels as JSON, in exported files, for clients in any language."""

from __future__ import annotations

import json
from typing import Any

from visualcnn_tf.pixels.pixels import Pixels, Values
from visualcnn_tf.pixels.scaling import Scaling

#: What the JSON is called in files.
NAME = "visualcnn_tf.pixels"


def to_json(pixels: Pixels) -> str:
    """Return pixels as JSON.

    ``values`` is a name or null, and ``unit``, ``mean``, ``std`` and ``order`` spell it out: ``(pixel / unit - mean) /
    std`` for each channel in the order ``"RGB"`` or ``"BGR"`` (gray images have no order). They are missing for a
    function, which nobody can read from a file.
    """
    scaling = pixels.scaling
    about: dict[str, Any] = {"values": pixels.values if isinstance(pixels.values, str) else None}
    if scaling is not None:
        about |= {"unit": scaling.unit, "mean": scaling.mean, "std": scaling.std}
        about |= {"order": "BGR" if scaling.bgr else "RGB"}
    return json.dumps({**about, "fit": pixels.fit, "size": pixels.size})


def from_json(text: str) -> Pixels | None:
    """Return the pixels of a JSON that :func:`to_json` made; None for those of a function."""
    about = json.loads(text)
    values: Values | None = about["values"]
    if values is None and "unit" in about:
        values = Scaling(about["unit"], about["mean"], about["std"], about["order"] == "BGR")
    return None if values is None else Pixels(values, about["fit"], about["size"])
