"""The color scale of a film: which raw values get the lowest and the highest color."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.ops.normalize import check_normalize

_ROBUST = (1, 99)  # percentiles: a few extreme values must not make all others look alike


def checked_scale(scale: Sequence[float]) -> tuple[float, float]:
    """Return a scale as two floats.

    Raises:
        InvalidArgumentError: Not two finite numbers of float32, the smaller one first.
    """
    try:
        low, high = scale
        check_normalize(("range", low, high))
    except ValueError:
        raise bad_value("scale", "two finite numbers of float32, the smaller one first", scale) from None
    return float(low), float(high)


def robust_scale(maps: Iterable[NDArray[np.floating]]) -> tuple[float, float]:
    """Return the 1st and the 99th percentile of all values; the extremes where these are equal; never equal."""
    values = np.concatenate([one.ravel() for one in maps])
    for percentiles in (_ROBUST, (0, 100)):
        low, high = (float(value) for value in np.percentile(values, percentiles))
        if low < high:
            return low, high
    return low, low + 1
