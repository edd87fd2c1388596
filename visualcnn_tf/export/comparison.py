"""How near an output of an exported file is to the model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class OutputCheck:
    """How near an output of the file is to the Keras model's.

    Attributes:
        max_difference: the largest difference of any value; of 255 for uint8.
        correlation: Pearson's, over all values; 1 where both are constant.
    """

    max_difference: float
    correlation: float


def check_output(got: Any, want: Any) -> OutputCheck:
    """Compares two arrays of one shape."""
    a, b = (np.asarray(x).astype(np.float64).ravel() for x in (got, want))
    if a.shape != b.shape or not np.isfinite(a).all():
        return OutputCheck(float("inf"), 0.0)
    spread = a.std() * b.std()
    constant = 1.0 if a.std() == b.std() == 0 else 0.0
    correlation = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread else constant
    return OutputCheck(float(np.abs(a - b).max(initial=0.0)), correlation)
