"""What counts as the same map in a TensorFlow Lite file."""

from __future__ import annotations

import pytest
import tensorflow as tf

from visualcnn_tf.errors import ExportVerificationError
from visualcnn_tf.export.report import OutputCheck
from visualcnn_tf.export.verify_tflite import _judge

HEATMAP, PREDICTIONS = tf.ones((1, 4, 4)), tf.ones((1, 4))


def judge(value: tf.Tensor, quantize: str | None, difference: float, correlation: float) -> None:
    _judge("heatmap", OutputCheck(difference, correlation), value, value, quantize)


@pytest.mark.parametrize(("quantize", "tolerance", "correlation"), [(None, 1e-4, 0.9999), ("float16", 2e-2, 0.99)])
def test_rounding_moves_deep_maps_evenly(quantize: str | None, tolerance: float, correlation: float) -> None:
    judge(HEATMAP, quantize, 0.9 * tolerance, 0.5)
    judge(HEATMAP, quantize, 9 * tolerance, correlation)
    with pytest.raises(ExportVerificationError, match=rf"or 10 times that with a correlation of {correlation}, is"):
        judge(HEATMAP, quantize, 9 * tolerance, correlation - 0.005)
    with pytest.raises(ExportVerificationError, match="is allowed"):
        judge(HEATMAP, quantize, 11 * tolerance, 1.0)  # such as a map of half the values


@pytest.mark.parametrize(("value", "quantize"), [(PREDICTIONS, "float16"), (PREDICTIONS, None)])
def test_nothing_else_goes_by_correlation(value: tf.Tensor, quantize: str | None) -> None:
    with pytest.raises(ExportVerificationError, match="is allowed"):
        judge(value, quantize, 0.06, 1.0)
