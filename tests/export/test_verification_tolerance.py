"""How far the outputs of an exported file may differ from the model's."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.comparison import OutputCheck
from visualcnn_tf.export.saved_model_verification import _compare
from visualcnn_tf.export.tflite_verification import _judge

HEATMAP, PREDICTIONS = tf.ones((1, 4, 4)), tf.ones((1, 4))


def judge(value: tf.Tensor, quantize: str | None, difference: float, correlation: float) -> None:
    _judge("heatmap", OutputCheck(difference, correlation), value, value, quantize)


@pytest.mark.parametrize(("quantize", "tolerance", "correlation"), [(None, 1e-4, 0.9999), ("float16", 2e-2, 0.99)])
def test_evenly_rounded_maps_may_differ_by_more(quantize: str | None, tolerance: float, correlation: float) -> None:
    judge(HEATMAP, quantize, 0.9 * tolerance, 0.5)
    judge(HEATMAP, quantize, 9 * tolerance, correlation)
    with pytest.raises(ExportVerificationError, match=rf"or 10 times that with a correlation of {correlation}, is"):
        judge(HEATMAP, quantize, 9 * tolerance, correlation - 0.005)
    with pytest.raises(ExportVerificationError, match="is allowed"):
        judge(HEATMAP, quantize, 11 * tolerance, 1.0)  # for example a map of half the values


@pytest.mark.parametrize(("value", "quantize"), [(PREDICTIONS, "float16"), (PREDICTIONS, None)])
def test_predictions_are_not_judged_by_correlation(value: tf.Tensor, quantize: str | None) -> None:
    with pytest.raises(ExportVerificationError, match="is allowed"):
        judge(value, quantize, 0.06, 1.0)


def test_a_deep_map_of_a_saved_model_may_be_rounded_evenly() -> None:
    heatmap = tf.reshape(tf.linspace(0.0, 1.0, 64), (1, 8, 8))
    ripple = np.where(np.arange(64) % 2, 1.0, -1.0).reshape(1, 8, 8)
    _compare("a map", heatmap + 9e-4 * ripple, heatmap, heatmap)
    with pytest.raises(ExportVerificationError, match=r"by 0\.0011"):
        _compare("a map", heatmap + 1.1e-3 * ripple, heatmap, heatmap)
    with pytest.raises(ExportVerificationError, match="is allowed"):  # a small difference, but the map hardly varies
        _compare("a map", 0.5 + 9e-4 * ripple, 0.5 + 1e-4 * heatmap, 0.5 + 1e-4 * heatmap)
    with pytest.raises(ExportVerificationError, match="is allowed"):
        _compare("predictions", heatmap[0] + 9e-4 * ripple[0], heatmap[0], heatmap[0])
