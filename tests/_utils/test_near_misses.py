"""Near misses: what somebody may have meant, and never what is merely spelled alike."""

from __future__ import annotations

import pytest

from visualcnn_tf._utils.checks import did_you_mean
from visualcnn_tf._utils.near_misses import near_misses
from visualcnn_tf.methods import NAMES

LAYERS = ["input_1", "output_1", "conv2d", "conv2d_1", "conv2d_2", "pool_1", "backbone/out_relu", "block_13_expand"]
ANIMALS = ["tench", "great white shark", "tabby cat", "tiger cat", "horse", "house", "wolf", "dog"]


@pytest.mark.parametrize(
    ("given", "known", "best"),
    [
        # a slip of the fingers
        ("secnod", ["first", "second", "pool"], "second"),
        ("pol", ["first", "second", "pool"], "pool"),
        ("devation", NAMES, "deviation"),
        ("gradcma", NAMES, "gradcam"),
        ("bilinaer", ["nearest", "bilinear", "bicubic"], "bilinear"),
        ("unit8", ["float32", "float16", "uint8"], "uint8"),
        ("efficentnet", ["mobilenet", "efficientnet", "resnet"], "efficientnet"),
        # letter case and separators
        ("Grad-CAM", NAMES, "gradcam"),
        ("GRADCAM++", NAMES, "gradcam++"),
        ("mean-abs", NAMES, "mean_abs"),
        ("block13_expand", LAYERS, "block_13_expand"),
        # the beginning or the end
        ("predict", ["predicted", "input", "top3"], "predicted"),
        ("heatmap_aa", ["heatmap_a", "heatmap_b"], "heatmap_a"),
        # a part of the name
        ("out_relu", LAYERS, "backbone/out_relu"),
        ("cat", ANIMALS, "tabby cat"),
        ("white shark", ANIMALS, "great white shark"),
        # another number
        ("conv2d_7", LAYERS, "conv2d_1"),
        ("int3", ["float16", "dynamic", "int8"], "int8"),
    ],
)
def test_what_was_meant_is_found(given: str, known: list[str], best: str) -> None:
    assert near_misses(given, known)[0] == best


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("input_1", ["output_1"]),
        ("output_1", ["input_1"]),
        ("inputs", ["outputs"]),
        ("encoder_2", ["decoder_2"]),
        ("upsample", ["downsample"]),
        ("conv_1", ["pool_1"]),
        ("conv_a", ["conv_b"]),
        ("block_1_conv", ["block_1_relu", "block_1_pool"]),
        ("min", ["max", "mean"]),
        ("hot", ["heat", "jet"]),
        ("7", ["conv_7", "pool_7"]),
        ("left", ["right"]),
        ("width", ["depth"]),
        ("rainbow", ["turbo", "viridis", "gray"]),
        ("dragon", ANIMALS),
        ("no such thing", NAMES),
        ("", NAMES),
        ("b'mean'", ["l2"]),
    ],
)
def test_what_means_something_else_is_not_offered(given: str, known: list[str]) -> None:
    assert near_misses(given, known) == []
    assert did_you_mean(given, known) == ""


def test_the_same_name_in_another_case_is_all_that_is_offered() -> None:
    assert near_misses("GradCAM", NAMES) == ["gradcam"]
    assert near_misses("Conv", ["conv", "CONV", "conv2d"]) == ["conv", "CONV"]


def test_the_best_come_first_and_at_most_three() -> None:
    assert near_misses("conv2d_9", ["relu", "conv2d_4", "conv2d_19", "conv2d_29", "conv2d_39"], 2) == [
        "conv2d_19",
        "conv2d_29",
    ]
    assert len(near_misses("conv2d_9", [f"conv2d_{n}" for n in range(9)])) == 3
    assert near_misses("relus", ["relu_1", "relu"])[0] == "relu"


def test_it_is_a_question() -> None:
    assert did_you_mean("tubro", ["turbo", "gray"]) == " Did you mean 'turbo'?"
    assert did_you_mean("float64", ["float32", "float16"]) == " Did you mean 'float16' or 'float32'?"
