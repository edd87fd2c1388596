"""Draw crops, pads and resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from support.generated import steps as S  # noqa: N812
from support.generated.choices import Draw, Map, layer_class

L = keras.layers


def move(draw: Draw, at: Map, plain: bool) -> list[S.Step]:
    """A crop, a padding, or a resizing.

    Args:
        draw: makes the choices.
        at: the map, which is updated.
        plain: whether plain operations, such as slicing, are allowed beside layers.
    """
    choices = [_crop, _crop, _pad, _pad]
    if at.rank == 2:
        choices += [_center_crop, _random_crop, _resizing, _aspect, _aspect]
    return draw.one(*choices)(draw, at, plain)


def _crop(draw: Draw, at: Map, plain: bool) -> list[S.Step]:
    cells = [(draw.number(0, n // 4), draw.number(0, n // 3)) for n in at.space]
    layer = None
    if not plain or draw.chance(0.5):
        layer = layer_class("Cropping", at.rank)(layer_form(cells), name=draw.name("crop"))
    elif not any(map(sum, cells)):
        cells[0] = (1, 2)
    at.space = tuple(n - a - b for n, (a, b) in zip(at.space, cells, strict=True))
    return [S.Moved(cells, layer)]


def _pad(draw: Draw, at: Map, plain: bool) -> list[S.Step]:
    """Zeros around the map."""
    cells = [(draw.one(0, 3, n), draw.one(1, 4, n // 2)) for n in at.space]
    layer = None
    if not plain or draw.chance(0.5):
        layer = layer_class("ZeroPadding", at.rank)(layer_form(cells), name=draw.name("zeros"))
    at.space = tuple(n + a + b for n, (a, b) in zip(at.space, cells, strict=True))
    return [S.Moved([(-a, -b) for a, b in cells], layer)]


def move_of_all(draw: Draw, at: Map) -> list[S.Step]:
    """A crop or a padding of all images of an example at once, ``(B, n, H, W, C)``, by plain operations."""
    sign = draw.one(1, -1)
    cells = [(draw.number(0, n // 4), draw.number(1, n // 4)) for n in at.space]
    at.space = tuple(n - sign * (a + b) for n, (a, b) in zip(at.space, cells, strict=True))
    return [S.Moved([(0, 0), *((sign * a, sign * b) for a, b in cells)])]


def layer_form(cells: Sequence[tuple[int, int]]) -> Any:
    return tuple(cells) if len(cells) > 1 else cells[0]


def _center_crop(draw: Draw, at: Map, plain: bool) -> list[S.Step]:
    size = [n - draw.number(0, n // 3) for n in at.space]
    cells = [((n - m) // 2, (n - m) - (n - m) // 2) for n, m in zip(at.space, size, strict=True)]
    at.space = tuple(size)
    return [S.Moved(cells, L.CenterCrop(*size, name=draw.name("center")))]


def _random_crop(draw: Draw, at: Map, plain: bool) -> list[S.Step]:
    """What stays what it is in inference; a Flatten behind it would be built for another size."""
    size = [n * 3 // 4 for n in at.space]
    return [S.RandomlyCropped(L.RandomCrop(*size, name=draw.name("random_crop")), "other")]


def _resizing(draw: Draw, at: Map, plain: bool) -> list[S.Step]:
    at.space = draw.one((16, 24), (24, 16), (12, 12))
    return [S.Plain(L.Resizing(*at.space, name=draw.name("resize")), "other")]


def _aspect(draw: Draw, at: Map, plain: bool) -> list[S.Step]:
    at.space = draw.one((16, 24), (24, 16), (16, 16), (12, 30))
    how = draw.one("crop_to_aspect_ratio", "pad_to_aspect_ratio")
    return [S.Aspect(L.Resizing(*at.space, name=draw.name("resize"), **{how: True}))]
