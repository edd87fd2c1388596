"""How closely an exported file has to match the model, or it is not written."""

from __future__ import annotations

from dataclasses import dataclass

#: The lowest 5th percentile of a heatmap's correlations over the user's examples, in a quantized file.
LOWEST_5TH_PERCENTILE = 0.9
#: The lowest correlation of a heatmap on any of the user's examples, in a quantized file.
LOWEST_CORRELATION = 0.5
#: The least share of the user's examples for which a quantized file predicts the class that the model predicts.
LEAST_AGREEMENT = 0.9
#: A map that correlates with the model's map by this much is the same map, moved evenly by rounding.
SAME_MAP = 0.9999


@dataclass(frozen=True)
class Limits:
    """How far a TensorFlow Lite file of one quantization may differ from the model.

    Attributes:
        difference: Of any value, relative to the largest value of an output; None where numbers differ by too much for
            a limit, and correlation and agreement tell more.
        same_map: Rounding moves the maps of a deep network by more than ``difference``, but evenly: a map that
            correlates with the model's by this much may differ by ten times as much. None for no such allowance.
        is_quantized: Whether heatmaps and predicted classes have to agree as :data:`LOWEST_5TH_PERCENTILE`,
            :data:`LOWEST_CORRELATION` and :data:`LEAST_AGREEMENT` say.
    """

    difference: float | None
    same_map: float | None = None
    is_quantized: bool = True


#: The limits by ``quantize``.
LIMITS = {
    None: Limits(1e-4, SAME_MAP, is_quantized=False),
    "float16": Limits(2e-2, 0.99),
    "dynamic": Limits(0.5),
    "int8": Limits(None),
}


@dataclass(frozen=True)
class Demands:
    """What the user asks of a file, in place of the limits above.

    Attributes:
        max_examples: How many of the user's examples are compared at most.
        min_correlation: The lowest correlation of a heatmap on any example; None for the limits of the quantization.
        min_agreement: The least share of examples with the same predicted class; None for those limits.
    """

    max_examples: int
    min_correlation: float | None = None
    min_agreement: float | None = None
