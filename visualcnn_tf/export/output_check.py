"""Sum up how an output of an exported file compares with the model's over all examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visualcnn_tf.export.comparison import Comparison, pooled_correlation


@dataclass(frozen=True)
class OutputCheck:
    """How closely an output of an exported file matches the output of the Keras model, over all examples.

    Attributes:
        max_difference: The largest absolute difference of any value, on a scale of 0 to 255 for uint8.
        correlation: Pearson's correlation, -1 to 1: of heatmaps and overlays the mean over the examples, of other
            outputs over all values. Undefined for what is constant, such as a blank heatmap; then it is 1 if both are
            constant, 0 if only one is. NaN for classes, and if no example counts.
        correlation_p5: Of heatmaps and overlays the 5th percentile over the examples: 95 % are higher. Else None.
        correlation_min: Of heatmaps and overlays the lowest one. Else None.
        agreement: The share of the examples for which the largest value, the predicted class, is at the same index; for
            explained classes, the share that is equal. None for heatmaps and for what holds no classes.
        compared: How many examples count in the correlations: those for which file and model explain the same class.
        blank: On how many examples the model's heatmap is all zeros: it shows no evidence. None for other outputs.
    """

    max_difference: float
    correlation: float
    correlation_p5: float | None = None
    correlation_min: float | None = None
    agreement: float | None = None
    compared: int = 0
    blank: int | None = None


def sum_up(comparison: Comparison, is_map: bool) -> OutputCheck:
    """Return what the report says of an output.

    Args:
        comparison: The output, example by example.
        is_map: Whether it is a heatmap or an overlay.
    """
    counts = comparison.counts
    difference = float(comparison.difference.max(initial=0.0))
    if not is_map:
        agreement = float(comparison.agrees.mean())
        shown = None if np.isnan(agreement) else agreement
        correlation = np.nan if comparison.dtype.kind in "biu" else pooled_correlation(comparison.sums)
        return OutputCheck(difference, correlation, agreement=shown, compared=len(comparison))
    found = comparison.correlation[counts]
    mean, low, least = (found.mean(), np.percentile(found, 5), found.min()) if counts.any() else (np.nan,) * 3
    return OutputCheck(
        difference,
        float(mean),
        float(low),
        float(least),
        compared=int(counts.sum()),
        blank=int(comparison.blank.sum()),
    )
