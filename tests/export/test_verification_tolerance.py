"""How far the outputs of an exported file may differ from the model's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export import saved_model_verification
from visualcnn_tf.export.comparison import compare
from visualcnn_tf.export.limits import LIMITS, Demands
from visualcnn_tf.export.output_roles import OutputRoles
from visualcnn_tf.export.tflite_judgment import Judge
from visualcnn_tf.export.verification_examples import Examples

HEATMAP = np.linspace(0, 1, 64, dtype="float32").reshape(1, 8, 8)
RIPPLE = np.where(np.arange(64) % 2, 1.0, -1.0).reshape(1, 8, 8).astype("float32")


def judge(quantize: str | None, got: Any, want: Any, name: str = "heatmap") -> None:
    check = Judge(LIMITS[quantize], Demands(64), OutputRoles(frozenset(["heatmap"])), None)
    check(name, compare(got, want, want, has_classes=name != "heatmap"))


@pytest.mark.parametrize(("quantize", "tolerance", "correlation"), [(None, 1e-4, 0.9999), ("float16", 2e-2, 0.99)])
def test_evenly_rounded_maps_may_differ_by_more(quantize: str | None, tolerance: float, correlation: float) -> None:
    flat = 0.5 + 0.4 * tolerance * HEATMAP
    judge(quantize, flat + 0.9 * tolerance * RIPPLE, flat)
    # A ripple of a height h correlates with a ramp of variance v by 1 / sqrt(1 + h² / v), or about 1 - h² / 2v.
    judge(quantize, HEATMAP + 0.9 * tolerance * RIPPLE, HEATMAP)
    even = min(9 * tolerance, 0.25 * np.sqrt(2 * (1 - correlation)))
    assert even > 1.5 * tolerance
    judge(quantize, HEATMAP + np.float32(even) * RIPPLE, HEATMAP)
    with pytest.raises(ExportVerificationError, match=rf"or 10 times that with a correlation of {correlation}, is"):
        judge(quantize, flat + 9 * tolerance * RIPPLE, flat)
    with pytest.raises(ExportVerificationError, match="is allowed"):
        judge(quantize, 0.5 * HEATMAP, HEATMAP)


@pytest.mark.parametrize("quantize", [None, "float16"])
def test_predictions_are_not_judged_by_correlation(quantize: str | None) -> None:
    predictions = np.array([[0.1, 0.2, 0.3, 0.4]], "float32")
    judge(quantize, predictions, predictions, "predictions")
    with pytest.raises(ExportVerificationError, match="is allowed"):
        judge(quantize, predictions + 0.06, predictions, "predictions")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("quantize", LIMITS)
def test_nan_is_never_allowed(quantize: str | None, value: float) -> None:
    got = HEATMAP.copy()
    got[0, 3, 3] = value
    for name in ("heatmap", "predictions"):
        with pytest.raises(ExportVerificationError, match=r"NaN or infinity \(example 0 of noise\)"):
            judge(quantize, got, HEATMAP, name)


def test_a_deep_map_of_a_saved_model_may_be_rounded_evenly() -> None:
    def judge(got: Any, want: Any) -> None:
        saved_model_verification._judge("a map", compare(got, want, want), Examples({"x": want}))

    judge(HEATMAP + 9e-4 * RIPPLE, HEATMAP)
    with pytest.raises(ExportVerificationError, match=r"by 0\.0011"):
        judge(HEATMAP + np.float32(1.1e-3) * RIPPLE, HEATMAP)
    with pytest.raises(ExportVerificationError, match="is allowed"):  # a small difference, but the map hardly varies
        judge(0.5 + 9e-4 * RIPPLE, 0.5 + 1e-4 * HEATMAP)
    with pytest.raises(ExportVerificationError, match="is allowed"):
        judge((HEATMAP + 9e-4 * RIPPLE).reshape(1, 64), HEATMAP.reshape(1, 64))
