"""Models of clips, of views that are merged into the batch, and of what is put before it."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers as L  # noqa: N812
from keras import ops


class Mapped(L.Layer):
    """Runs a network on each view by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = L.Conv2D(3, 3)

    def call(self, views: Any) -> Any:
        found = ops.vectorized_map(lambda view: ops.mean(self.conv(view), (1, 2)), ops.swapaxes(views, 0, 1))
        return ops.swapaxes(found, 0, 1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape[:2], 3)


def models_of_elements() -> dict[str, Any]:
    """By the names that the table of bad inputs gives them."""

    def frame() -> Any:
        return keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Dense(3)])

    clip, views = keras.Input((None, 8, 8, 3)), keras.Input((4, 8, 8, 3))
    each = frame()(ops.reshape(views, (-1, 8, 8, 3)))
    columns = L.Conv2D(2, 3)(ops.transpose(ops.mean(views, 2), (1, 0, 2, 3)))
    return {
        "of_clips": keras.Model(clip, L.GlobalAveragePooling1D()(L.TimeDistributed(frame())(clip))),
        "of_mapped": keras.Model(views, ops.max(Mapped()(views), 1)),
        "of_views": keras.Model(views, ops.max(ops.reshape(each, (-1, 4, 3)), 1)),
        "each_view": keras.Model(views, each),
        "of_columns": keras.Model(views, ops.mean(columns, (0, 2))),
    }
