"""Which heatmaps are blank."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: What is written beside a blank heatmap.
ALL_ZEROS = "all zeros"


def is_blank(heatmaps: ArrayLike) -> NDArray[np.bool_]:
    """Return, for each image, whether its heatmap is all zeros.

    It is where there is nothing to show: no evidence beyond rounding, or evidence against the target alone, a class
    that the model does not have, activations that are not finite.

    Args:
        heatmaps: ``(N, H, W)``, of any further axes and type.

    Example:
        >>> is_blank([[[0.0, 0.0]], [[0.0, 1.0]]]).tolist()
        [True, False]
    """
    array = np.asarray(heatmaps)
    return np.asarray(~array.astype(bool).any(tuple(range(1, array.ndim))))
