"""Exports of real architectures, in their own runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.export.report import interpreter


def transfer_learning() -> Any:
    base = keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), include_top=False, alpha=0.35)
    image = keras.Input((64, 64, 3))
    scaled = L.Rescaling(1 / 127.5, offset=-1.0)(image)
    return keras.Model(image, L.Dense(4, activation="softmax")(L.GlobalAveragePooling2D()(base(scaled))))


MODELS: dict[str, Any] = {
    "transfer_learning": transfer_learning,
    **{
        name: lambda name=name: getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=5)
        for name in ("MobileNetV2", "EfficientNetB0", "ResNet50")
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_both_formats_equal_keras(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    x = np.random.default_rng(0).uniform(0, 255, (32, 64, 64, 3)).astype("float32")
    model(x, training=True)  # statistics for batch normalisation, without which deep maps are constant
    explained = vc.attach(model, "stages")
    vc.export_saved_model(explained, tmp_path / "served")  # compares to 1e-5 in a session
    report = vc.export_tflite(explained, tmp_path / "m.tflite")
    assert report.builtin_only
    weights = sum(weight.numpy().nbytes for weight in model.weights)
    assert report.size < 1.05 * weights + 200_000
    [name] = explained.plan.inputs.names
    served = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")(**{name: x[:1]})
    for key, value in explained(x[:1]).items():
        np.testing.assert_allclose(served[key], value, atol=1e-4, err_msg=key)
