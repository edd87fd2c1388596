"""int8 files of the digits network: every method at every layer, on digits that were not used for calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.method_objects import ACTIVATION_METHODS, GRADIENT_METHODS
from support.runtimes import run_litert
from support.trained import LAYERS, digits, digits_cnn

import visualcnn_tf as vc

IMAGES = 60
# Before a Flatten, Grad-CAM's weights are means of gradients that nearly cancel, and its ReLU leaves almost nothing of
# some maps: a single ReLU of the network that integers flip changes such a map completely. Its signed maps, and a
# network with global pooling, are tested in test_class_methods_tflite.py.
LOWEST = {"gradcam": 0.95}


@pytest.mark.slow
def test_every_method_at_every_layer_agrees_with_keras(tmp_path: Path) -> None:
    methods = [*ACTIVATION_METHODS, *GRADIENT_METHODS]
    explained = vc.attach(digits_cnn(), list(LAYERS), method=methods)
    data = digits().train_images[:100]
    report = vc.export_tflite(explained, tmp_path / "m.tflite", quantize="int8", representative_data=data)
    assert report.builtin_only
    x = digits().test_images[:IMAGES]
    want, got = explained.predict(x, verbose=0), run_litert(report.path, x)
    agreement = np.mean(got["predictions"].argmax(-1) == want["predictions"].argmax(-1))
    print(f"the same class for {agreement:.0%} of {IMAGES} images")
    assert agreement >= 0.95
    for tap in explained.taps:
        found = np.array([correlation(a, b) for a, b in zip(got[tap.key], want[tap.key], strict=True)])
        print(f"{tap.path} {tap.method.name}: mean {found.mean():.4f}, lowest {found.min():.4f}")
        assert found.mean() >= LOWEST.get(tap.method.name, 0.99), tap.key
        if tap.method.name in ACTIVATION_METHODS:
            assert found.min() >= 0.999, tap.key


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's; of an empty map with another one 0."""
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
