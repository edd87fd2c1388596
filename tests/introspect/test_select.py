"""Which layers names, paths, patterns, indices and layers select, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from support import oracle, transformers
from support.model_kinds import backbone, images, small_cnn_layers

import visualcnn_tf as vc
from tools.zoo import handmade
from visualcnn_tf.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    LayerNotFoundError,
    NoFeatureMapError,
)


@pytest.fixture(scope="module")
def cnn() -> Any:
    return keras.Sequential([keras.Input((12, 12, 2)), *small_cnn_layers()], name="cnn")


@pytest.fixture(scope="module")
def nested() -> Any:
    image = keras.Input((12, 12, 2))
    return keras.Model(image, L.Dense(3, name="head")(L.Flatten(name="flat")(backbone()(image))), name="nested")


def paths(model: Any, layers: Any, **options: Any) -> list[str]:
    return [tap.path for tap in vc.attach(model, layers, **options).taps]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (None, ["conv_a", "pool", "conv_b"]),
        ("conv", ["conv_a", "pool", "conv_b"]),
        ("last", ["conv_b"]),
        ("stages", ["conv_a", "conv_b"]),
        ("pool", ["pool"]),
        (0, ["conv_a"]),
        (np.int64(1), ["pool"]),
        (-3, ["conv_b"]),
        ("conv_*", ["conv_a", "conv_b"]),
        ("conv_[!a]", ["conv_b"]),
        (["conv_b", "conv_a"], ["conv_a", "conv_b"]),
        (["last", "conv", "conv_*", "conv_b"], ["conv_a", "pool", "conv_b"]),
    ],
)
def test_selectors(cnn: Any, layers: Any, expected: list[str]) -> None:
    assert paths(cnn, layers) == expected


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (None, ["backbone/inner_conv", "backbone/deep/deep_conv"]),
        ("backbone/relu", ["backbone/relu"]),
        ("relu", ["backbone/relu"]),
        ("backbone", ["backbone"]),
        ("backbone/deep", ["backbone/deep"]),
        ("*conv", ["backbone/inner_conv", "backbone/deep/deep_conv"]),
        ("backbone/*conv", ["backbone/inner_conv", "backbone/deep/deep_conv"]),
        ("last", ["backbone/deep/deep_conv"]),
    ],
)
def test_selectors_inside_nested_models(nested: Any, layers: Any, expected: list[str]) -> None:
    assert paths(nested, layers) == expected


def test_a_layer_itself(cnn: Any, nested: Any) -> None:
    assert paths(cnn, cnn.layers[1]) == ["pool"]
    assert paths(nested, [nested.get_layer("backbone").get_layer("relu"), "last"]) == [
        "backbone/relu",
        "backbone/deep/deep_conv",
    ]


def test_names_of_presets_mean_the_presets() -> None:
    named = [L.Conv2D(2, 3, name="conv"), L.Conv2D(2, 3, name="last"), L.Flatten()]
    model = keras.Sequential([keras.Input((9, 9, 1)), *named])
    assert paths(model, "conv") == ["conv", "last"]
    assert paths(model, model.layers[0]) == ["conv"]


def test_equal_names_are_numbered() -> None:
    model = keras.Sequential([L.Conv2D(2, 3, name="a"), L.Conv2D(2, 3, name="b")])
    model.build((None, 9, 9, 1))
    image = keras.Input((9, 9, 1))
    inner = keras.Model(image, L.Conv2D(2, 3, name="x_a")(image), name="m")
    outer_image = keras.Input((9, 9, 1))
    outer = keras.Model(outer_image, L.Conv2D(2, 1, name="m_x_a")(inner(outer_image)))
    explained = vc.attach(outer, size=None)
    assert [tap.key for tap in explained.taps] == ["heatmap_m_x_a", "heatmap_m_x_a_2"]
    assert [tap.path for tap in explained.taps] == ["m/x_a", "m_x_a"]


def test_keys_of_outputs_never_collide() -> None:
    image = keras.Input((8, 8, 1))
    features = L.Conv2D(2, 3, name="conv")(image)
    flat = L.Flatten()(features)
    model = keras.Model(image, {"heatmap_conv": L.Dense(2)(flat), "heatmap": L.Dense(1)(flat)})
    explained = vc.attach(model, combine="mean")
    assert explained.output_names == ["heatmap_conv", "heatmap", "heatmap_conv_2", "heatmap_2"]
    x = images(2, 8, 8, 1)
    np.testing.assert_array_equal(explained(x)["heatmap_conv"], model(x)["heatmap_conv"])


BAD_LAYERS = [
    ("pol", LayerNotFoundError, r"'pol'.*Did you mean 'pool'"),
    ("lst", LayerNotFoundError, r"'lst'.*Did you mean 'last'"),
    ("nothing_like_it", LayerNotFoundError, r"Received: 'nothing_like_it'"),
    (99, LayerNotFoundError, r"from -5 to 4.*Received: 99"),
    (-6, LayerNotFoundError, r"Received: -6"),
    ("probabilities", NoFeatureMapError, r"Dense.*\(None, 4\).*nearest layer that has one is 'conv_b'"),
    ("flatten", NoFeatureMapError, r"Flatten.*nearest layer that has one is 'conv_b'"),
    ([], InvalidArgumentError, r"at least one layer"),
    (["pool", 1], InvalidArgumentError, r"each tap once. Received: 'pool' and 1"),
    ("x*", LayerNotFoundError, r"pattern 'x\*'"),
    (1.5, InvalidTypeError, r"Received: 1.5 of type float"),
    ([None, {}], InvalidTypeError, r"of type dict"),
    (L.Conv2D(1, 1, name="foreign"), LayerNotFoundError, r"'foreign', which is not inside"),
]


@pytest.mark.parametrize(("layers", "error", "message"), BAD_LAYERS)
def test_bad_selectors(cnn: Any, layers: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        vc.attach(cnn, layers)
    assert "`layers`" in str(caught.value)
    assert isinstance(caught.value, vc.VisualCNNError)
    assert isinstance(caught.value, (ValueError, TypeError))


@pytest.mark.parametrize("size", ["input", (32, 32)])
def test_tokens_of_unknown_positions_are_refused_with_what_to_do(size: object) -> None:
    # A plain reshape of rows of pixels: each token is a stripe of the image.
    model = handmade.vision_transformer("dense").model
    with pytest.raises(NoFeatureMapError, match=r"'norm' with shape \(None, 17, 24\), tokens whose.*TokenGrid"):
        vc.attach(model, "norm", size=size)
    assert vc.attach(model, "norm", size=None)(np.ones((2, 32, 32, 3)))["heatmap_norm"].shape == (2, 16)
    # Inside of its attention layers there are tensors (B, tokens, heads, C), which are no maps.
    with pytest.raises(NoFeatureMapError, match=r"'block1_out' with shape \(None, 17, 24\), tokens whose positions"):
        vc.attach(model, "last", size=size)


def test_tokens_on_a_grid_as_documented() -> None:
    vit = transformers.vit()
    page = (Path(__file__).parents[2] / "docs" / "layers.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```python\n(explained = .*?)```", page, re.DOTALL)
    names = {"vit": vit, "vc": vc}
    exec(snippet, names)
    assert [repr(tap.tokens) for tap in names["explained"].taps] == re.findall(r"# (TokenGrid.*)", snippet)
    tokens = keras.Model(vit.input, vit.get_layer("block1_out").output)(x := images(2, 16, 16, 3)).numpy()
    truth = oracle.heatmap(tokens[:, 1:].reshape(2, 4, 4, -1), "l2", (16, 16))
    oracle.assert_close(vc.attach(vit, "last", method="l2")(x)["heatmap_block1_out"], truth)
