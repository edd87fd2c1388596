"""The presets on the architectures of keras.applications, with random weights and small inputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import oracle

import visualcnn_tf as vc

# Smallest input on which every stage is larger than 1x1, number of convolution and pooling layers, and the stages.
ZOO: dict[str, tuple[int, int, list[str]]] = {
    "VGG16": (
        64,
        18,
        ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3", "block5_pool"],
    ),
    "ResNet50": (
        64,
        54,
        ["conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"],
    ),
    "InceptionV3": (139, 107, ["activation_2", "activation_4", "mixed2", "mixed7", "mixed10"]),
    "MobileNetV2": (
        64,
        52,
        ["block_1_expand_relu", "block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "out_relu"],
    ),
    "MobileNetV3Small": (64, 34, ["activation", "re_lu_2", "activation_1", "activation_11", "activation_17"]),
    "EfficientNetB0": (
        64,
        49,
        [
            "block2a_expand_activation",
            "block3a_expand_activation",
            "block4a_expand_activation",
            "block6a_expand_activation",
            "top_activation",
        ],
    ),
    "DenseNet121": (64, 124, ["conv1_relu", "pool2_conv", "pool3_conv", "pool4_conv", "relu"]),
    "NASNetMobile": (
        64,
        256,
        ["stem_bn1", "adjust_relu_1_0", "adjust_relu_1_5", "adjust_relu_1_9", "activation_187"],
    ),
    "ConvNeXtTiny": (64, 22, ["add_2", "add_5", "add_14", "add_17"]),
    "Xception": (96, 44, ["block1_conv2_act", "add", "add_1", "add_10", "block14_sepconv2_act"]),
}


LARGE = ("NASNetMobile", "DenseNet121")  # take half a minute to trace


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in ZOO], scope="module")
def zoo(request: Any) -> Any:
    keras.backend.clear_session()  # so that automatic layer names start at zero
    keras.utils.set_random_seed(0)
    size, convolutions, stages = ZOO[request.param]
    model = getattr(keras.applications, request.param)(weights=None, input_shape=(size, size, 3), classes=5)
    return model, size, convolutions, stages


@pytest.mark.slow
def test_presets_choose_sensible_layers(zoo: Any) -> None:
    model, size, convolutions, stages = zoo
    explained = vc.attach(model, "stages")
    assert [tap.path for tap in explained.taps] == stages
    assert [tap.path for tap in vc.attach(model, "last").taps] == stages[-1:]
    assert len(vc.attach(model).taps) == convolutions
    outputs, features = run(model, explained, size, stages[-1])
    want = oracle.heatmap(features, "deviation", (size, size), "bilinear", "minmax")
    np.testing.assert_allclose(outputs[f"heatmap_{stages[-1]}"], want, atol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["last", "conv"])
def test_every_convolution(zoo: Any, layers: str) -> None:
    model, size, _, stages = zoo
    run(model, vc.attach(model, layers), size, stages[-1])


def run(model: Any, explained: Any, size: int, name: str) -> tuple[Any, Any]:
    """Outputs, checked for range and against the model's predictions, and the feature maps of one layer."""
    x = np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype("float32")
    tensor = next(operation.output for operation in model.operations if operation.name == name)
    features, predictions = tf.function(keras.Model(model.inputs, [tensor, model.output]))(x)
    outputs = tf.function(explained)(x)
    np.testing.assert_allclose(outputs["predictions"], predictions, atol=1e-6)
    for tap in explained.taps:
        heatmap = outputs[tap.key].numpy()
        assert heatmap.shape == (2, size, size), tap
        assert (heatmap.min((1, 2)) == 0).all(), tap
        peak = heatmap.max((1, 2))
        assert ((peak == 1) | (peak == 0)).all(), tap
    return outputs, features
