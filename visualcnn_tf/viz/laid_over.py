"""Heatmaps in color over their image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.ops.resize import resize
from visualcnn_tf.render.overlay import overlay
from visualcnn_tf.viz.grid import Floats, Picture

_UNSEEN = 0.35  # the brightness of what the model did not see
_STRIP = 1 << 20  # pixels that are blended at once: a photo of a camera would take gigabytes as floats


def laid_over(image: Picture, heatmaps: Sequence[Floats], alpha: float, colormap: str) -> NDArray[np.uint8]:
    """Return an image with each of some heatmaps laid over it in color: the more, the higher the heatmap is.

    A pixel is ``(1 - w) · image + w · color`` with ``w = alpha · heatmap``: where the heatmap is 0, the image stays as
    it is. Where it is NaN, the model did not see the image, and the image is dark.

    Args:
        image: RGB floats in [0, 1] or uint8, ``(H, W, 3)``.
        heatmaps: Floats in [0, 1], ``(H, W)`` each, or of another size, in which they are resized.
        alpha: The opacity where a heatmap is 1.
        colormap: A name in :data:`~visualcnn_tf.render.colormaps.COLORMAPS`.

    Returns:
        ``(N, H, W, 3)``.

    Example:
        >>> photo = np.full((1, 3, 3), 100, np.uint8)
        >>> laid_over(photo, [np.array([[0, 1, np.nan]])], alpha=0.5, colormap="gray")[0, 0, :, 0].tolist()
        [100, 178, 35]
    """
    height, width = image.shape[:2]
    maps = np.stack([_resized(heatmap, (height, width)) for heatmap in heatmaps])
    pictures = np.empty((len(maps), height, width, 3), np.uint8)
    rows = max(1, _STRIP // (width * len(maps)))
    for start in range(0, height, rows):
        strip = slice(start, start + rows)
        pictures[:, strip] = _blended(image[strip], maps[:, strip], alpha, colormap)
    return pictures


def _blended(image: Picture, maps: Floats, alpha: float, colormap: str) -> NDArray[np.uint8]:
    """Return one part of the pictures."""
    images = np.broadcast_to(image, (len(maps), *image.shape))
    blended = np.asarray(overlay(images, maps, alpha, colormap, weighted=True))
    unseen = np.isnan(maps)[..., np.newaxis]
    return np.where(unseen, np.round(blended * np.float32(_UNSEEN)), blended) if unseen.any() else blended


def _resized(heatmap: Floats, size: tuple[int, int]) -> NDArray[np.float32]:
    if heatmap.shape == size:
        return heatmap.astype(np.float32)
    return np.asarray(resize(tf.constant(heatmap[None], tf.float32), size)[0])
