"""Grad-CAM of real architectures in TensorFlow Lite files: builtin operations only, and equal to TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr
from support.zoo_models import fitted, last_map, middle_map, settled

import visualcnn_tf as vc
from visualcnn_tf.export.tflite_interpreter import interpreter

SMALL = ("MobileNetV3Small",)
LARGE = (
    "MobileNetV2",
    "EfficientNetB0",
    "ResNet50",
    "DenseNet121",
    "VGG16",
    "ConvNeXtTiny",
    "InceptionV3",
    "Xception",
    "NASNetMobile",
)
TOLERANCE = 1e-4


EACH = pytest.mark.parametrize("name", [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])


@pytest.mark.slow
@pytest.mark.sweep(cases=2)
@EACH
def test_gradcam_at_the_last_map_and_half_way(name: str, tmp_path: Path) -> None:
    model, x = settled(name)
    explained, got, want = both(model, [middle_map(model), last_map(model)], x, tmp_path)
    for key, difference in differences(name, explained, got, want):
        if difference > TOLERANCE:
            assert_rounding_alone(explained, x, key, got[key], want[key])


@pytest.mark.slow
@EACH
def test_gradcam_at_the_last_map_before_a_fitted_layer(name: str, tmp_path: Path) -> None:
    model, x = fitted(name)
    for _, difference in differences(name, *both(model, [last_map(model)], x, tmp_path)):
        assert difference <= TOLERANCE


def differences(name: str, explained: Any, got: Any, want: Any) -> list[tuple[str, float]]:
    """That of each heatmap, which is printed, too."""
    found = [(key, largest_difference(got[key], want[key])) for key in explained.heatmap_names]
    print(*(f"{name} {key}: {difference:.1e}" for key, difference in found), sep="\n")
    return found


def both(
    model: Any, layers: list[str], x: Any, folder: Path
) -> tuple[Any, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The explained model, what its file returns, and what TensorFlow does."""
    # Signed: of positions where the ReLU leaves nothing, there is no order to compare.
    explained = vc.attach(model, layers, method=vc.methods.GradCAM(relu=False), normalize=None, size=None)
    report = vc.export_tflite(explained, folder / "m.tflite", verify=False)
    assert report.builtin_only
    served = interpreter(report.path.read_bytes()).get_signature_runner("serving_default")
    [image] = explained.plan.inputs.names
    one_by_one = [served(**{image: x[i : i + 1]}) for i in range(len(x))]
    got = {key: np.concatenate([outputs[key] for outputs in one_by_one]) for key in explained.output_names}
    want = graph(explained, x, compiled=False)
    np.testing.assert_allclose(got["predictions"], want["predictions"], atol=TOLERANCE)
    np.testing.assert_array_equal(got["explained_class"], want["explained_class"])
    return explained, got, want


@pytest.mark.slow
def test_the_last_map_is_that_of_the_files_own_features(tmp_path: Path) -> None:
    """Where it differs from TensorFlow's by more than the tolerance, so do the features of the bare model.

    So it does before a random last layer, for whose classes the features cancel out. After its last map InceptionV3
    has global average pooling and one dense layer, so Grad-CAM has a closed form.
    """
    model, x = settled("InceptionV3")
    layer, weights = model.get_layer(last_map(model)), model.layers[-1].get_weights()[0].astype(np.float64)
    explained = vc.attach(model, last_map(model), method=vc.methods.GradCAM(relu=False), normalize=None, size=None)
    bare = keras.Model(model.input, {"features": layer.output, "predictions": model.output})
    served = [
        interpreter(vc.export_tflite(each, tmp_path / name, verify=False).path.read_bytes()).get_signature_runner(
            "serving_default"
        )
        for name, each in {"explained.tflite": explained, "bare.tflite": bare}.items()
    ]
    [key] = explained.heatmap_names
    rounded = []
    for image in x[:, np.newaxis]:
        outputs, own = (run(**dict.fromkeys(run.get_input_details(), image)) for run in served)
        [features] = (value.astype(np.float64) for value in own.values() if value.ndim == 4)
        want = features @ weights[:, outputs["explained_class"][0]] / features[0, ..., 0].size
        assert largest_difference(outputs[key].astype(np.float64), want) < 1e-6
        rounded.append(np.abs(features - bare(image)["features"].numpy()).max() / np.abs(features).max())
    assert max(rounded) > TOLERANCE  # no backward pass could be nearer than what it starts from


def assert_rounding_alone(explained: Any, x: Any, key: str, got: np.ndarray, want: np.ndarray) -> None:
    """Rounding switches ReLUs and maxima on or off: what rounds otherwise does so to TensorFlow's own maps, too.

    XLA does, but on some processors it rounds as TensorFlow does; so do images of which the last bit is another.
    """
    others = {"XLA": graph(explained, x, compiled=True)}
    for moved in (-(2.0**-23), 2.0**-23):
        others[f"images times 1{moved:+.0e}"] = graph(explained, (x * (1 + moved)).astype(x.dtype), compiled=False)
    by_rounding = {name: largest_difference(outputs[key], want) for name, outputs in others.items()}
    print(*(f"  {name}: {difference:.1e}" for name, difference in by_rounding.items()), sep="\n")
    assert largest_difference(got, want) < 4 * max(by_rounding.values())
    ranks = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(got, want, strict=True)]
    print(f"  rank correlations: {np.round(ranks, 6)}")
    assert np.mean(ranks) >= 0.999


def graph(explained: Any, x: Any, compiled: bool) -> dict[str, np.ndarray]:
    function = tf.function(explained.call, jit_compile=compiled, autograph=False)
    one_by_one = [function(x[i : i + 1]) for i in range(len(x))]
    return {key: np.concatenate([outputs[key] for outputs in one_by_one]) for key in explained.output_names}


def largest_difference(got: np.ndarray, want: np.ndarray) -> float:
    """Over all images, relative to the largest value of each; it must have one."""
    peak = np.abs(want).max((1, 2))
    assert (peak > 0).all()
    return float((np.abs(got - want).max((1, 2)) / peak).max())
