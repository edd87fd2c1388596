"""A heatmap in color over its image."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.ops.resize import resize
from visualcnn_tf.render.overlay import overlay
from visualcnn_tf.viz.grid import Floats, Picture

_UNSEEN = 0.35  # the brightness of what the model did not see
_STRIP = 1 << 20  # pixels that are blended at once: a photo of a camera would take gigabytes as floats


def laid_over(image: Picture, heatmap: Floats, alpha: float, colormap: str) -> NDArray[np.uint8]:
    """Return an image with its heatmap laid over it in color: the more, the higher the heatmap is.

    A pixel is ``(1 - w) · image + w · color`` with ``w = alpha · heatmap``: where the heatmap is 0, the image stays as
    it is. Where it is NaN, the model did not see the image, and the image is dark.

    Args:
        image: RGB floats in [0, 1] or uint8, ``(H, W, 3)``.
        heatmap: Floats in [0, 1], ``(H, W)``, or of another size, in which it is resized.
        alpha: The opacity where the heatmap is 1.
        colormap: A name in :data:`~visualcnn_tf.render.colormaps.COLORMAPS`.

    Example:
        >>> photo = np.full((1, 3, 3), 100, np.uint8)
        >>> laid_over(photo, np.array([[0, 1, np.nan]]), alpha=0.5, colormap="gray")[0, :, 0].tolist()
        [100, 178, 35]
    """
    heatmap = _resized(heatmap, (image.shape[0], image.shape[1]))
    rows = max(1, _STRIP // image.shape[1])
    strips = range(0, len(image), rows)
    return np.concatenate([_blended(image[i : i + rows], heatmap[i : i + rows], alpha, colormap) for i in strips])


def _blended(image: Picture, heatmap: Floats, alpha: float, colormap: str) -> NDArray[np.uint8]:
    blended = overlay(image[None], heatmap[None].astype(np.float32), alpha, colormap, weighted=True).numpy()[0]
    unseen = np.isnan(heatmap)
    blended[unseen] = np.round(blended[unseen] * _UNSEEN)
    return np.asarray(blended)


def _resized(heatmap: Floats, size: tuple[int, int]) -> Floats:
    if heatmap.shape == size:
        return heatmap
    return np.asarray(resize(tf.constant(heatmap[None], tf.float32), size)[0])
