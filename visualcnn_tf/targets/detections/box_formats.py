"""What the four numbers of a box mean, in the words of Keras, and the box's corners in pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

Number = TypeVar("Number")
#: From four numbers to left, top, right, bottom.
Corners: TypeAlias = Callable[[Number, Number, Number, Number], tuple[Number, Number, Number, Number]]

_ABSOLUTE: dict[str, Corners] = {  # type: ignore[type-arg]
    "xyxy": lambda left, top, right, bottom: (left, top, right, bottom),
    "yxyx": lambda top, left, bottom, right: (left, top, right, bottom),
    "xywh": lambda left, top, width, height: (left, top, left + width, top + height),
    "center_xywh": lambda x, y, width, height: (x - width / 2, y - height / 2, x + width / 2, y + height / 2),
    "center_yxhw": lambda y, x, height, width: (x - width / 2, y - height / 2, x + width / 2, y + height / 2),
}
#: The names of all formats; numbers of those with ``rel_`` are parts of the image's width and height.
BOX_FORMATS = (*_ABSOLUTE, *(f"rel_{name}" for name in _ABSOLUTE))


def corners(numbers: tuple[Number, ...], box_format: str, width: float, height: float) -> tuple[Number, ...]:
    """Return left, top, right and bottom of boxes, in pixels.

    Args:
        numbers: the four numbers, of any type that can be added and multiplied.
        box_format: one of :data:`BOX_FORMATS`.
        width: of the image, in pixels.
        height: of the image.
    """
    found = _ABSOLUTE[box_format.removeprefix("rel_")](*numbers)
    if not box_format.startswith("rel_"):
        return found
    return tuple(number * side for number, side in zip(found, (width, height) * 2, strict=True))
