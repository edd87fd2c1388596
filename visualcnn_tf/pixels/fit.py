"""Fit a photo of any shape to an input, and lay a map of the input back over the photo.

Positions count from the upper left corner, and pixels have their centers at halves, as in ``tf.image.resize``. What is
at ``p`` in the photo is at ``scale · p + shift`` in the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

#: Height and width: numbers, or a tensor of two integers.
Size: TypeAlias = Sequence[int] | tf.Tensor


def fit_image(image: tf.Tensor, size: Size, fit: str) -> tf.Tensor:
    """Return a photo in the size of an input, by anti-aliased bilinear resizing.

    Args:
        image: ``(H, W, C)`` or ``(B, H, W, C)``, of any numbers.
        size: height and width of the input.
        fit: ``"squeeze"``: all of the photo on all of the input. ``"crop"``: the largest part from the middle that has
            the input's proportions. ``"pad"``: all of the photo in the middle, on black.

    Returns:
        The same with another height and width, float32.
    """
    # Not cast before it is small: of a photo of a camera the cast takes longer than all the rest.
    images = tf.convert_to_tensor(image)
    if fit == "squeeze":
        return tf.cast(tf.image.resize(images, size, antialias=True), tf.float32)
    batch = images if images.shape.rank == 4 else images[tf.newaxis]
    scale, shift = _placement(tf.shape(batch)[1:3], size, fit)
    fitted = _move(batch, size, scale, shift)
    height, width = _known(size)
    fitted.set_shape([batch.shape[0], height, width, batch.shape[3]])
    return fitted if images.shape.rank == 4 else fitted[0]


def undo_fit(
    maps: ArrayLike, photo_size: Sequence[int], fit: str, size: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """Return a map of an input as a map of the photo, bilinear; NaN where the model did not see the photo.

    Args:
        maps: ``(h, w)``, stretched over the whole input.
        photo_size: height and width of the photo.
        fit: how the photo was fitted to the input.
        size: height and width of the input, by default those of the map.
    """
    values = np.asarray(maps, np.float32)
    height, width = size or values.shape
    scale, shift = (tensor.numpy() for tensor in _placement(photo_size, (height, width), fit))
    stretch = np.array(values.shape) / (height, width)
    scale, shift = scale * stretch, shift * stretch
    moved = _move(values[np.newaxis, :, :, np.newaxis], photo_size, 1 / scale, -shift / scale).numpy()[0, :, :, 0]
    rows, columns = (
        (length > (position := s * (np.arange(n) + 0.5) + t)) & (position > 0)
        for n, s, t, length in zip(photo_size, scale, shift, values.shape, strict=True)
    )
    moved[~(rows[:, np.newaxis] & columns)] = np.nan
    return np.asarray(moved)


def undo_fit_of_points(
    points: ArrayLike, photo_size: Sequence[int], fit: str, size: Sequence[int]
) -> NDArray[np.float64]:
    """Return where points of an input are in the photo.

    Args:
        points: rows and columns in pixels, ``(N, 2)``.
        photo_size: height and width of the photo.
        fit: how the photo was fitted to the input.
        size: height and width of the input.
    """
    scale, shift = (tensor.numpy().astype(np.float64) for tensor in _placement(photo_size, size, fit))
    return np.asarray((np.asarray(points, np.float64) - shift) / scale)


def _placement(photo_size: Size, size: Size, fit: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Return scale and shift of both axes."""
    photo, target = tf.cast(photo_size, tf.float32), tf.cast(size, tf.float32)
    scale = target / photo
    if fit == "squeeze":
        return scale, tf.zeros(2)
    same = tf.reduce_max(scale) if fit == "crop" else tf.reduce_min(scale)
    scale = tf.stack([same, same])
    return scale, (target - scale * photo) / 2


def _known(size: Size) -> Sequence[int | None]:
    """Return height and width, None where a tensor does not tell."""
    known: Sequence[int | None] | None = tf.get_static_value(tf.convert_to_tensor(size))
    return (None, None) if known is None else known


def _move(images: tf.Tensor, size: Size, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Return images resized by ``scale`` and moved by ``shift``, zero beside them."""
    return tf.raw_ops.ScaleAndTranslate(
        images=images,
        size=size,
        scale=tf.cast(scale, tf.float32),
        translation=tf.cast(shift, tf.float32),
        kernel_type="triangle",
        antialias=True,
    )
