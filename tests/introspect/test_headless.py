"""The presets on the architectures of keras.applications without their heads."""

from __future__ import annotations

from typing import Any

import keras
import pytest

import visualcnn_tf as vc

LAST = {
    "VGG16": "block5_pool",
    "ResNet50": "conv5_block3_out",
    "MobileNetV2": "out_relu",
    "EfficientNetB0": "top_activation",
    "DenseNet121": "relu",
}


def paths(model: Any, layers: Any, **options: Any) -> list[str]:
    return [tap.path for tap in vc.attach(model, layers, **{"size": None, **options}).taps]


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("name", LAST)
def test_the_last_map_is_the_output(name: str) -> None:
    build = getattr(keras.applications, name)
    body = build(weights=None, include_top=False, input_shape=(64, 64, 3))
    with_head = build(weights=None, classes=3, input_shape=(64, 64, 3))
    assert paths(body, "last") == [LAST[name]]
    assert paths(body, "stages") == paths(with_head, "stages")


@pytest.mark.slow
def test_pyramids_of_a_backbone() -> None:
    body = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(64, 64, 3), alpha=0.35)
    names = ["block_6_expand_relu", "block_13_expand_relu", "out_relu"]
    outputs = [body.get_layer(name).output for name in names]
    for order in (outputs, outputs[::-1], dict(zip("abc", outputs, strict=True))):
        pyramid = keras.Model(body.input, order)
        assert paths(pyramid, "last") == ["out_relu"]
        assert paths(pyramid, "stages") == paths(body, "stages")


def test_a_sequential_feature_extractor() -> None:
    def conv(filters: int, name: str) -> Any:
        return keras.layers.Conv2D(filters, 3, activation="relu", name=name)

    pools = [keras.layers.MaxPooling2D(name=name) for name in ("pa", "pb")]
    model = keras.Sequential([keras.Input((32, 32, 3)), conv(8, "a"), pools[0], conv(16, "b"), pools[1], conv(32, "c")])
    assert paths(model, "stages") == ["a", "b", "c"]
    assert paths(model, "last") == ["c"]
    assert paths(model, "last", method="gradcam", target=score) == ["c"]


def score(output: Any) -> Any:
    return keras.ops.mean(output, (1, 2, 3))
