"""Which values of an image are black and white."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from math import isfinite, isnan

import numpy.typing as npt
import tensorflow as tf

from visualcnn_tf._utils.checks import as_tensor, bad_value
from visualcnn_tf.pixels.pixels import Pixels

_OVERSHOOT = 0.1  # of the range: bicubic resizing overshoots by so much at most, images of another range by more
_ADVICE = "Preprocess images as the model takes them, or say what that is: attach with `pixels='0..255'` or the like."


def check_value_range(value_range: Sequence[float] | None) -> tuple[float, float] | None:
    """Return black and white as floats; None stands for the default of the image's dtype.

    Raises:
        InvalidArgumentError: Not two finite numbers, the smaller one first.
    """
    if value_range is None:
        return None
    allowed = "None or two finite numbers, black and white, such as (0, 255)"
    if not isinstance(value_range, (tuple, list)) or len(value_range) != 2:
        raise bad_value("value_range", allowed, value_range)
    if not all(isinstance(x, numbers.Real) and isfinite(x) for x in value_range) or value_range[0] >= value_range[1]:
        raise bad_value("value_range", allowed, value_range)
    return float(value_range[0]), float(value_range[1])


def black_and_white(image: tf.Tensor, value_range: Sequence[float] | None) -> tuple[float, float]:
    """Return the values of black and white: by default (0, 1) for floats and (0, 255) for integers."""
    return check_value_range(value_range) or ((0.0, 1.0) if image.dtype.is_floating else (0.0, 255.0))


def check_values(
    image: npt.ArrayLike | tf.Tensor,
    value_range: Sequence[float] | None,
    advice: str = "Say which values are black and white, e.g. value_range=(0, 255).",
    allow_nan: bool = False,
    argument: str = "image",
) -> None:
    """Raise where the values of an image are clearly outside its range.

    Args:
        image: An array or an eager tensor of any shape.
        value_range: Black and white; None for the default of the image's dtype.
        advice: The last sentence of the error.
        allow_nan: Whether an image that holds NaN is accepted.
        argument: What the error calls it.

    Raises:
        InvalidArgumentError: A value is beyond the range by more than a tenth of it.
    """
    image = as_tensor("image", image)
    if tf.size(image) == 0:
        return
    low, high = black_and_white(image, value_range)
    darkest, brightest = float(tf.reduce_min(image)), float(tf.reduce_max(image))
    slack = _OVERSHOOT * (high - low)
    fits = low - slack <= darkest <= brightest <= high + slack
    if fits or (allow_nan and isnan(darkest + brightest)):
        return
    raise bad_value(
        argument, f"of values from {low:g} to {high:g}", f"values from {darkest:g} to {brightest:g}", advice
    )


def check_brightness(images: npt.ArrayLike | tf.Tensor, pixels: Pixels, argument: str = "image") -> None:
    """Raise where images are clearly darker than black or brighter than white; NaN is accepted.

    Args:
        images: What a model takes, ``(..., C)``.
        pixels: What that is; by a function it may be anything.
        argument: What an error calls the images.

    Raises:
        InvalidArgumentError: A value is beyond the range by more than a tenth of it.
    """
    if pixels.scaling is None:
        return
    # Of channels that differ there is no range but that of the pixels they were made of.
    values, limits = (images, pixels.limits) if pixels.limits else (pixels.unscale(images), (0, 255))
    check_values(values, limits, _ADVICE, allow_nan=True, argument=argument)
