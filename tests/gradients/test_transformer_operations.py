"""Transformers are differentiated by our rules alone: every operation that one of these families uses has a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import transformers
from support.gradient_cases.check import relative
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_operations import count_ops, foreign_ops
from visualcnn_tf.gradients.backward import backward_pass
from visualcnn_tf.gradients.graph_paths import connected
from visualcnn_tf.introspect.find_inputs import model_inputs
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.record import OutputRecorder, recording
from visualcnn_tf.ops.exporting import frozen_weights

#: Hand-written transformers, one for each family and each way in which a head reads tokens.
HANDMADE: dict[str, Callable[[], Any]] = {
    "vit": transformers.vit,
    "vit_of_a_mean": lambda: transformers.vit("mean", registers=2, hybrid=True),
    "deit": transformers.deit,
    "beit": transformers.beit,
    "keras_io_vit": transformers.keras_io_vit,
    "swin": transformers.swin,
    "mit": transformers.mit,
    "mobilevit": transformers.mobilevit,
    "mixer": transformers.mixer,
    "signal_vit": transformers.signal_vit,
    "video_vit": transformers.video_vit,
}
#: The names in ``tools.zoo.hub_models`` of what keras_hub has of them.
HUB = (
    *("ViTImageClassifier", "ViTImageClassifier, pooled", "DeiTImageClassifier", "DINOV2Backbone", "DINOV3Backbone"),
    *("SwinTransformerImageClassifier", "MiTImageClassifier", "SegFormerImageSegmenter", "ViTDetBackbone"),
    *("CLIPVisionEncoder", "SigLIPVisionEncoder", "MetaCLIP2VisionEncoder", "DepthAnythingDepthEstimator"),
    "VideoPrismBackbone",
)


def gradients(model: Any, batch: int | None, by_tensorflow: bool) -> tuple[Any, list[tuple[str, str]]]:
    """A graph of the gradients at the first layer by our rules, and by TensorFlow's; and what our rules do not cover.

    They are those of all outputs that are computed from the layer, each element times a number of its own.
    """
    inputs, fallbacks = model_inputs(model), list[tuple[str, str]]()
    layers = [layer for layer in named_layers(model).values() if not isinstance(layer, keras.layers.InputLayer)]

    def at_first(*tensors: Any) -> list[Any]:
        record = OutputRecorder(layers)
        with recording(record):
            outputs = keras.tree.flatten(model(inputs.pack(tensors), training=False))
        source = next(filter(is_map, (call for layer in layers for call in record.outputs_of(layer))))
        results = [one for one in outputs if one.dtype.is_floating and connected([one], source)]
        seeds = [tf.sin(tf.reshape(tf.range(tf.size(one), dtype=tf.float32), tf.shape(one))) for one in results]
        found = backward_pass(results, seeds, [source])
        fallbacks.extend(found.fallbacks)
        truth = tf.gradients(results, source, grad_ys=seeds) if by_tensorflow else []
        return [*found.of, *map(tf.convert_to_tensor, truth)]

    specs = [tf.TensorSpec((batch, *spec.shape[1:]), spec.dtype) for spec in inputs.specs]
    return tf.function(at_first, autograph=False).get_concrete_function(*specs), fallbacks


def is_map(output: Any) -> bool:
    """Whether a layer has returned feature maps or tokens."""
    return isinstance(output, tf.Tensor) and output.dtype.is_floating and (output.shape.rank or 0) > 2


def examples(model: Any) -> list[tf.Tensor]:
    rng = np.random.default_rng(2)
    shapes = [[2, *(8 if n is None else n for n in spec.shape[1:])] for spec in model_inputs(model).specs]
    return [tf.constant(rng.normal(size=shape), tf.float32) for shape in shapes]


def check(model: Any) -> None:
    function, fallbacks = gradients(model, None, by_tensorflow=True)
    assert fallbacks == []
    got, want = function(*examples(model))
    assert np.abs(want).max() > 0
    assert relative(got, want) <= 1e-5


@pytest.mark.sweep(cases=4)
@pytest.mark.parametrize("name", HANDMADE)
def test_handmade(name: str) -> None:
    check(HANDMADE[name]())


@pytest.mark.slow
@pytest.mark.parametrize("name", HUB)
def test_of_keras_hub(name: str) -> None:
    pytest.importorskip("keras_hub")
    from tools.zoo.hub_models import HUB_GROUPS

    check(next(group[name] for group in HUB_GROUPS.values() if name in group)())


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("name", HANDMADE)
def test_in_tflite(name: str) -> None:
    model = HANDMADE[name]()
    with frozen_weights():
        function, _ = gradients(model, 2, by_tensorflow=False)
    content = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(function)]).convert()
    assert not foreign_ops(count_ops(content)), foreign_ops(count_ops(content))
    run = interpreter(content)
    run.allocate_tensors()
    run.set_tensor(run.get_input_details()[0]["index"], examples(model)[0])
    run.invoke()
    got = run.get_tensor(run.get_output_details()[0]["index"])
    assert relative(got, function(*examples(model))[0]) <= 1e-4
