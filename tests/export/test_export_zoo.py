"""Exports of eight kinds of models, each in the runtime of its format, equal Keras.

The SavedModels run in TensorFlow's C loader (that of TensorFlow Serving), in a process without Python's TensorFlow, the
TensorFlow Lite files in LiteRT.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.model_kinds import random_images
from support.served_model import ServedModel

import visualcnn_tf as vc
from visualcnn_tf.data.digits import load_digits, train_cnn
from visualcnn_tf.export.float32_copy import float32_copy
from visualcnn_tf.export.tflite_interpreter import interpreter

SIZE = 96


# Residual branches of which only a tenth counts, as small as training starts or leaves them.
_RESIDUAL = ("project_BN", "project_bn", "_3_bn")


def steady(model: Any, inputs: Any) -> Any:
    """Return the model with weights that don't amplify rounding, and with statistics of these inputs.

    Fresh random weights under batch normalization make a chaotic network, unlike training: the same MobileNetV2 in the
    same TensorFlow, with and without XLA, then differs by 3e-5 of a deep map's range, and no export can be judged to
    1e-5. Depthwise filters that average, and small residual branches, keep errors as small as they are made.
    """
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, L.BatchNormalization)]
    for layer in model._flatten_layers():
        if isinstance(layer, L.DepthwiseConv2D):
            layer.kernel.assign(tf.abs(layer.kernel) + tf.reduce_max(tf.abs(layer.kernel)))
        if layer.name.endswith(_RESIDUAL):
            layer.gamma.assign(0.1 * tf.ones_like(layer.gamma))
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0
    model(inputs, training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return model


def application(name: str) -> Any:
    return getattr(keras.applications, name)(weights=None, input_shape=(SIZE, SIZE, 3), classes=10)


def transfer_learning() -> Any:
    base = keras.applications.MobileNetV2(weights=None, input_shape=(SIZE, SIZE, 3), include_top=False, alpha=0.35)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    pooled = L.GlobalAveragePooling2D()(base(L.Rescaling(2.0, offset=-1.0)(image)))
    return keras.Model(image, L.Dense(4, activation="softmax")(pooled))


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.convs = [L.Conv2D(8 * 2**i, 3, strides=2, padding="same", activation="relu") for i in range(3)]
        self.norm = L.BatchNormalization()
        self.head = L.Dense(5, activation="softmax")

    def call(self, image: Any, training: bool | None = None) -> Any:
        for conv in self.convs:
            image = conv(image)
        return self.head(tf.reduce_mean(self.norm(image, training=training), [1, 2]))


def subclassed() -> Any:
    model = Subclassed()
    model(np.zeros((1, SIZE, SIZE, 3), np.float32))
    return model


def two_inputs() -> Any:
    images = [keras.Input((SIZE, SIZE, 3), name=name) for name in ("left", "right")]
    features = [L.Conv2D(8, 3, strides=2, activation="relu", name=f"conv_{i}")(x) for i, x in enumerate(images)]
    both = L.Conv2D(16, 3, activation="relu", name="joined")(L.MaxPooling2D()(L.Concatenate()(features)))
    return keras.Model(images, L.Dense(3)(L.GlobalAveragePooling2D()(both)))


def mixed_precision() -> Any:
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        image = keras.Input((SIZE, SIZE, 3), name="image")
        x = L.Conv2D(16, 3, strides=2, activation="relu", name="first")(image)
        x = L.BatchNormalization()(L.Conv2D(32, 3, strides=2, name="second")(x))
        x = L.GlobalAveragePooling2D()(L.ReLU(name="activation")(x))
        return keras.Model(image, L.Dense(4, activation="softmax", dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy(with_policy)


BUILDERS: dict[str, Callable[[], Any]] = {
    **{name: lambda name=name: application(name) for name in ("MobileNetV2", "ResNet50", "EfficientNetB0")},
    "transfer_learning": transfer_learning,
    "subclassed": subclassed,
    "two_inputs": two_inputs,
    "mixed_precision": mixed_precision,
}
LARGE = ("MobileNetV2", "ResNet50", "EfficientNetB0", "transfer_learning", "subclassed", "two_inputs")
NAMES = [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in ("digits", *BUILDERS)]


def make(name: str) -> tuple[Any, Any]:
    """A model and two examples."""
    if name == "digits":
        digits = load_digits()
        return train_cnn(digits), digits.test_images[:2]
    keras.utils.set_random_seed(0)
    images = random_images(16, SIZE, SIZE, 3) * np.float32(255 if name == "EfficientNetB0" else 1)
    inputs = [images, images[::-1].copy()] if name == "two_inputs" else images
    model = steady(BUILDERS[name](), inputs)
    return model, keras.tree.map_structure(lambda array: array[:2], inputs)


def rounded(explained: Any, inputs: Any) -> dict[str, Any]:
    """The outputs in Keras with weights of half precision: what such a file can't be better than."""
    weights = explained.get_weights()
    explained.set_weights([weight.astype("float16").astype(weight.dtype) for weight in weights])
    outputs = {key: value.numpy() for key, value in explained(inputs).items()}
    explained.set_weights(weights)
    return outputs


def assert_near(
    got: dict[str, np.ndarray], want: dict[str, Any], tolerance: float, rounded: dict[str, Any] | None = None
) -> None:
    """Within a part of each map's range; of predictions, which are from 0 to 1 or small numbers, absolutely.

    Where rounding the weights moves an output of the model itself, in Keras, by more than that, within twice as much (a
    file has other weights to round, with the normalizations folded in): only deep maps and predictions of MobileNetV2
    and EfficientNetB0.
    """
    assert set(got) == set(want)
    for key, value in want.items():
        value = np.asarray(tf.cast(value, tf.float64))
        spread = float(np.ptp(value)) if key.startswith("heatmap") else 1.0
        assert key == "predictions" or spread > 0.99
        own = float(np.abs(rounded[key] - value).max()) if rounded else 0.0
        atol = max(tolerance * spread, 2 * own if own > tolerance * spread else 0.0)
        np.testing.assert_allclose(got[key].astype("float64"), value, rtol=0, atol=atol, err_msg=key)


def served(explained: Any, folder: Path, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    vc.export_saved_model(explained, folder, signatures=["serving_default"], warmup=False, verify=False)
    with ServedModel(folder) as model:
        return model.predict("serving_default", feeds)


def run(report: Any, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return interpreter(report.path.read_bytes()).get_signature_runner("serving_default")(**feeds)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_both_formats_equal_keras(name: str, tmp_path: Path) -> None:
    model, inputs = make(name)
    explained = vc.attach(model, "conv" if name == "digits" else "stages")
    feeds = dict(zip(explained.plan.inputs.names, explained.plan.inputs.flatten(inputs), strict=True))
    # A mixed-precision model is written as its float32 copy for TensorFlow Lite, and as it is for a server.
    reference = float32_copy(explained) if name == "mixed_precision" else explained
    want = reference(inputs)
    assert_near(served(reference, tmp_path / "served", feeds), want, 1e-5)
    float32 = vc.export_tflite(explained, tmp_path / "float32.tflite", batch_size=2, verify=False)
    float16 = vc.export_tflite(explained, tmp_path / "float16.tflite", batch_size=2, quantize="float16", verify=False)
    assert float32.builtin_only
    assert float16.builtin_only
    assert_near(run(float32, feeds), want, 1e-5)
    assert_near(run(float16, feeds), want, 1e-2, rounded(reference, inputs))
    if name == "mixed_precision":
        own = explained(inputs)
        assert_near(served(explained, tmp_path / "mixed", feeds), own, 2e-2)
        assert_near(run(float32, feeds), own, 2e-2)
    if name in ("MobileNetV2", "ResNet50", "EfficientNetB0"):
        bare = vc.export_tflite(model, tmp_path / "bare.tflite", batch_size=2, verify=False)
        assert float32.size <= 1.02 * bare.size
        last = vc.export_tflite(vc.attach(model, "last"), tmp_path / "last.tflite", batch_size=2, verify=False)
        assert last.size <= 1.01 * bare.size


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50", "EfficientNetB0"])
def test_verification_passes_for_real_architectures(name: str, tmp_path: Path) -> None:
    model, inputs = make(name)
    explained = vc.attach(model, "stages", heatmap_dtype="uint8")
    vc.export_saved_model(explained, tmp_path / "served", pixels=None if name == "EfficientNetB0" else "0..1")
    for quantize in (None, "float16", "dynamic"):
        # Not on noise from 0 to 1: to this EfficientNetB0 it is nearly black, and gives activations of 400,000.
        report = vc.export_tflite(
            explained, tmp_path / f"{quantize}.tflite", quantize=quantize, representative_data=inputs
        )
        assert set(report.outputs) == set(explained.output_names)
