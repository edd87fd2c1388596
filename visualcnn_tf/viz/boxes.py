"""The box that is explained, drawn over pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visualcnn_tf.pipeline.tap import Tap

#: Left, top, right and bottom, as parts of a picture's width and height.
Corners: TypeAlias = tuple[float, float, float, float]
_THICK = 1 / 150  # of the longer side of a picture


def corners_of(boxes: ArrayLike | None, tap: Tap, image: int, size: Sequence[int]) -> Corners | None:
    """Return the box that a heatmap explains; None where it is not known, or there is none.

    Args:
        boxes: what the explained model returned, ``(N, 4)`` or ``(N, scores, 4)``, in pixels.
        tap: of the heatmap.
        image: the number of the image.
        size: height and width of the model's input.
    """
    if boxes is None or not tap.method.explains_target:
        return None
    array = np.asarray(boxes, np.float64)
    box = array.reshape(len(array), -1, 4)[image, tap.target_index]
    left, top, right, bottom = box / np.array([size[1], size[0]] * 2)
    return (float(left), float(top), float(right), float(bottom)) if right > left and bottom > top else None


def with_box(picture: NDArray[np.uint8], box: Corners | None) -> NDArray[np.uint8]:
    """Return a picture ``(H, W, 3)`` uint8 with a light line between dark ones around a box; as it is for None."""
    if box is None:
        return picture
    drawn, (height, width) = picture.copy(), picture.shape[:2]
    thick = max(1, round(_THICK * max(height, width)))
    left, top, right, bottom = (round(n * side) for n, side in zip(box, (width, height) * 2, strict=True))
    rows, columns = np.ogrid[:height, :width]
    # How far each pixel lies inside of the box, below 0 outside of it.
    inside = np.minimum(np.minimum(rows - top, bottom - 1 - rows), np.minimum(columns - left, right - 1 - columns))
    drawn[(inside >= -2 * thick) & (inside < thick)] = 0
    drawn[(inside >= -thick) & (inside < 0)] = 255
    return drawn
