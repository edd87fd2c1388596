"""Which layers a selector chooses, on small models whose answer is plain."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from support import oracle
from support.model_kinds import Subclassed, backbone, images, small_cnn_layers

import visualcnn_tf as vc
from tools.zoo import handmade
from visualcnn_tf.errors import (
    IncompatibleModelError,
    InputShapeError,
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


def conv(filters: int, **options: Any) -> Any:
    return L.Conv2D(filters, 3, padding="same", activation="relu", **options)


def u_net(size: Any = 32) -> Any:
    """Skips and transposed convolutions; a mask as large as the image."""
    image = keras.Input((size, size, 1))
    skips, x = [], image
    for level in range(3):
        x = conv(4, name=f"down{level}_a")(x)
        x = conv(4, name=f"down{level}_b")(x)
        skips.append(x)
        x = L.MaxPooling2D(name=f"pool{level}")(x)
    x = conv(4, name="bottom")(x)
    for level in reversed(range(3)):
        x = L.Conv2DTranspose(4, 2, strides=2, name=f"up{level}")(x)
        x = conv(4, name=f"up{level}_a")(L.Concatenate(name=f"join{level}")([x, skips[level]]))
    return keras.Model(image, L.Activation("softmax", name="classes")(L.Conv2D(3, 1, name="mask")(x)))


U_NET_STAGES = ["down0_b", "down1_b", "down2_b", "bottom", "up2_a", "up1_a", "up0_a"]


def test_stages_of_a_u_net_go_down_and_up_again() -> None:
    assert paths(u_net(), "stages") == U_NET_STAGES
    assert paths(u_net(), "last") == ["up0_a"]


def test_unknown_sizes_are_tried_out() -> None:
    assert paths(u_net(None), "stages") == U_NET_STAGES
    shapes = [tap.shape for tap in vc.attach(u_net(None), "stages").taps]
    assert set(shapes) == {(None, None, None, 4)}


def test_stages_skip_what_only_moves_or_gates() -> None:
    """Padding, dropout, a squeeze-and-excitation gate, upsampling and 1x1 maps end no stage."""
    image = keras.Input((32, 32, 3))
    x = L.ZeroPadding2D(3, name="pad")(L.Rescaling(2.0)(image))
    x = L.ReLU(name="stem_relu")(L.BatchNormalization()(L.Conv2D(4, 7, strides=2, name="stem")(x)))
    gate = L.Conv2D(4, 1, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    x = L.Dropout(0.1, name="drop")(L.Multiply(name="gated")([x, gate]))
    x = L.ReLU(name="second_relu")(L.Conv2D(4, 3, strides=2, padding="same", name="second")(x))
    x = L.UpSampling2D(name="bigger")(x)
    x = L.Conv2D(2, 3, padding="same", name="decoder")(x)
    x = L.Cropping2D(1, name="crop")(x)
    vector = L.Conv2D(5, 1, name="one_by_one")(L.GlobalMaxPooling2D(keepdims=True)(x))
    model = keras.Model(image, L.Flatten()(vector))
    assert paths(model, "stages") == ["gated", "second_relu", "decoder"]
    assert paths(model, "last") == ["decoder"]


def test_stages_see_through_valid_convolutions() -> None:
    sizes = [L.Conv2D(2, 3, name=f"c{i}") if i % 3 < 2 else L.MaxPooling2D(name=f"p{i}") for i in range(8)]
    model = keras.Sequential([keras.Input((60, 60, 1)), *sizes, L.Flatten()])
    assert paths(model, "stages") == ["c1", "c4", "c7"]


def test_stages_and_last_of_several_branches() -> None:
    image, extra = keras.Input((16, 16, 1)), keras.Input((3,))
    left, right = conv(2, name="left")(image), conv(2, name="right", strides=1)(image)
    joined = L.Concatenate(name="joined")([left, right])
    head = L.Concatenate()([L.GlobalAveragePooling2D()(joined), L.Dense(2)(extra)])
    model = keras.Model([extra, image], L.Dense(2)(head))
    assert paths(model, "last") == ["joined"]
    assert paths(model, "stages") == ["joined"]


def test_dead_ends_are_no_stages_but_can_be_named() -> None:
    class DeadEnd(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = L.Conv2D(2, 3, name="used"), L.Conv2D(2, 3, strides=2, name="unused")

        def call(self, x: Any) -> Any:
            self.unused(x)
            return L.Flatten()(self.used(x)) if False else self.used(x)[:, 0, 0]

    model = DeadEnd()
    model(images(1, 9, 9, 1))
    assert paths(model, "stages") == ["used"]
    assert paths(model, ["unused"]) == ["unused"]


BAD_LAYERS = [
    ("pol", LayerNotFoundError, r"'pol'.*Did you mean 'pool'"),
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


BAD_OPTIONS = [
    ({"method": "gradcamm"}, InvalidArgumentError, r"`method` must be one of 'deviation'.*Received: 'gradcamm'"),
    ({"method": "deviatoin"}, InvalidArgumentError, r"Did you mean 'deviation'"),
    ({"method": {"conv_*": "nope"}}, InvalidArgumentError, r"`method`.*Received: 'nope'"),
    ({"method": {"zzz": "max"}}, LayerNotFoundError, r"`method` patterns.*'zzz'"),
    ({"method": lambda maps: maps}, InvalidArgumentError, r"`method` must return one map per image"),
    ({"method": lambda maps: 1.0}, InvalidArgumentError, r"`method` must return.*float"),
    ({"interpolation": "cubic"}, InvalidArgumentError, r"`interpolation`.*'bicubic'"),
    ({"normalize": "l2"}, InvalidArgumentError, r"`normalize` must be 'minmax', 'max'"),
    ({"normalize": ("range", 1.0, 1.0)}, InvalidArgumentError, r"low < high"),
    ({"normalize": ("range", float("nan"), 1.0)}, InvalidArgumentError, r"low < high"),
    ({"dtype": "int8"}, InvalidArgumentError, r"`dtype` must be one of 'float32', 'float16', 'uint8'"),
    ({"dtype": "uint8", "normalize": None}, InvalidArgumentError, r"`dtype`.*Raw values"),
    ({"size": 0}, InvalidArgumentError, r"`size`.*Received: 0"),
    ({"size": (0, 4)}, InvalidArgumentError, r"`size`.*positive"),
    ({"size": (-1, 4)}, InvalidArgumentError, r"`size`.*positive"),
    ({"size": (4,)}, InvalidArgumentError, r"`size` must be \(H, W\)"),
    ({"size": (4, 4, 4)}, InvalidArgumentError, r"`size` must be \(H, W\)"),
    ({"size": "original"}, InvalidArgumentError, r"`size`.*'input'"),
    ({"combine": "sum"}, InvalidArgumentError, r"`combine` must be one of 'mean', 'max', 'product'"),
    ({"combine": "mean", "size": None}, InvalidArgumentError, r"`size`.*`combine`"),
    ({"combine_weights": [1, 1, 1]}, InvalidArgumentError, r"`combine_weights`"),
    ({"combine": "mean", "combine_weights": [1]}, InvalidArgumentError, r"3 numbers"),
    ({"combine": "mean", "combine_weights": [0, 0, 0]}, InvalidArgumentError, r"not all 0"),
    ({"combine": "mean", "combine_weights": {"zzz": 2}}, LayerNotFoundError, r"`combine_weights` patterns.*zzz"),
    ({"check_numerics": "yes"}, InvalidArgumentError, r"`check_numerics`"),
    ({"input_shape": (13, 12, 2)}, InvalidArgumentError, r"`input_shape` must be compatible with"),
    ({"input_shape": 5}, InvalidArgumentError, r"`input_shape` must be a shape"),
    ({"input_shape": (0, 3)}, InvalidArgumentError, r"`input_shape` must be a shape"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_OPTIONS)
def test_bad_options(cnn: Any, options: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        vc.attach(cnn, **options)
    assert isinstance(caught.value, vc.VisualCNNError)
    assert "Received" in str(caught.value)


def dense_only() -> Any:
    return keras.Sequential([keras.Input((4,)), L.Dense(2)], name="dense_only")


def generator() -> Any:
    return keras.Sequential([keras.Input((4,)), L.Dense(16), L.Reshape((4, 4, 1)), L.Conv2DTranspose(2, 3, name="up")])


class KerasTwo:
    layers = ()


KerasTwo.__module__ = "tf_keras.src.engine.training"


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (lambda x: x, IncompatibleModelError, r"`model` must be a Keras 3 model.*Received: function"),
        ("model.keras", IncompatibleModelError, r"load_model"),
        (None, IncompatibleModelError, r"Received: NoneType"),
        (L.Conv2D(1, 1), IncompatibleModelError, r"Received: Conv2D"),
        (KerasTwo(), IncompatibleModelError, r"Keras 2"),
        (dense_only(), NoFeatureMapError, r"convolution or pooling layer. Received: 'dense_only'"),
        (generator(), InputShapeError, r"`size`='input' needs an input with the spatial axes of 'up'"),
    ],
)
def test_bad_models(model: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        vc.attach(model)


def test_a_generator_works_at_its_own_size() -> None:
    outputs = vc.attach(generator(), size=None)(images(2, 4))
    assert outputs["heatmap_up"].shape == (2, 6, 6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((12, 12, 2), r"x\[np.newaxis\]"),
        ((3, 12, 12, 3), r"number of channels"),
        ((3, 10, 12, 2), r"size differs"),
        ((3, 12, 12), r"number of axes"),
        ((3, 5, 12, 12, 2), r"number of axes"),
    ],
)
def test_bad_inputs(cnn: Any, shape: Any, message: str) -> None:
    explained = vc.attach(cnn)
    for call in (explained, lambda x: explained.predict(x, verbose=0)):
        with pytest.raises(InputShapeError, match=message) as caught:
            call(np.zeros(shape, "float32"))
        assert str(shape) in str(caught.value)


def test_bad_inputs_of_several() -> None:
    inputs = {"left": keras.Input((8, 8, 1), name="left"), "right": keras.Input((8, 8, 1), name="right")}
    model = keras.Model(inputs, L.Flatten()(L.Conv2D(1, 3)(L.Add()(list(inputs.values())))))
    explained = vc.attach(model)
    with pytest.raises(InputShapeError, match="must be 2 tensors"):
        explained.predict(images(2, 8, 8, 1), verbose=0)
    with pytest.raises(InputShapeError, match="must be 2 tensors"):
        explained.predict({"left": images(2, 8, 8, 1)}, verbose=0)


def test_subclassed_models_check_channels() -> None:
    model = Subclassed()
    model(images(1, 9, 9, 2))
    with pytest.raises(InputShapeError, match="number of channels"):
        vc.attach(model)(images(1, 9, 9, 3))


def test_another_backend_is_refused(monkeypatch: pytest.MonkeyPatch, cnn: Any) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    for attempt in (lambda: vc.attach(cnn), vc.FeatureMapFusion):
        with pytest.raises(IncompatibleModelError, match=r"'jax'.*KERAS_BACKEND=tensorflow"):
            attempt()


# --- several outputs, tokens ---


def two_headed() -> keras.Model:
    """A label, and a box from a branch with maps of its own, which runs last."""
    image = keras.Input((16, 16, 3))
    body = L.Conv2D(4, 3, strides=2, padding="same", name="body")(image)
    label = L.Dense(3, name="label")(L.GlobalAveragePooling2D()(L.Conv2D(4, 3, strides=2, name="label_conv")(body)))
    box = L.Dense(4, name="box")(L.Flatten()(L.Conv2D(4, 3, strides=2, name="box_conv")(body)))
    return keras.Model(image, [label, box])


@pytest.mark.parametrize(
    ("preset", "of_label", "of_box"),
    [
        ("last", ["label_conv"], ["box_conv"]),
        ("stages", ["body", "label_conv"], ["body", "box_conv"]),
        ("conv", ["body", "label_conv"], ["body", "box_conv"]),
    ],
)
def test_presets_choose_what_leads_to_the_explained_output(preset: str, of_label: list[str], of_box: list[str]) -> None:
    model = two_headed()
    for output, expected in (("label", of_label), ("box", of_box)):
        explained = vc.attach(model, preset, method="gradcam", output=output)
        assert [tap.path for tap in explained.taps] == expected
    assert sorted(tap.path for tap in vc.attach(model, "conv").taps) == ["body", "box_conv", "label_conv"]


def test_an_output_that_is_not_there_is_still_reported() -> None:
    with pytest.raises(InvalidArgumentError, match="`output` must be one of 'label', 'box'"):
        vc.attach(two_headed(), "last", method="gradcam", output="labels")


@pytest.mark.parametrize("size", ["input", (32, 32)])
def test_a_row_of_tokens_is_refused_with_what_to_do(size: object) -> None:
    model = handmade.vision_transformer().model
    with pytest.raises(NoFeatureMapError, match=r"'norm' with shape \(None, 17, 24\), a row of tokens.*convolution"):
        vc.attach(model, "norm", size=size)
    assert vc.attach(model, "norm", size=None)(np.ones((2, 32, 32, 3)))["heatmap_norm"].shape == (2, 17)
    assert [tap.path for tap in vc.attach(model, "last").taps] == ["patch_embedding"]
    # Inside of its attention layers there are tensors (B, tokens, heads, C), which are no maps.
    with pytest.raises(NoFeatureMapError, match=r"'block1_out' with shape \(None, 17, 24\), a row of tokens"):
        vc.attach(handmade.vision_transformer("dense").model, "last", size=size)


def test_tokens_on_a_grid_as_documented() -> None:
    vit = handmade.vision_transformer().model
    page = (Path(__file__).parents[2] / "docs" / "layers.md").read_text(encoding="utf-8")
    [snippet] = re.findall(r"```python\n(tokens = .*?)```", page, re.DOTALL)
    names = {"vit": vit, "keras": keras, "vc": vc}
    exec(snippet, names)
    x = images(2, 32, 32, 3)
    outputs = names["explained"](x)
    tokens = keras.Model(vit.input, vit.get_layer("block1_out").output)(x).numpy()
    truth = oracle.heatmap(tokens[:, 1:].reshape(2, 4, 4, -1), "l2", (32, 32))
    oracle.assert_close(outputs["heatmap"], truth)
    np.testing.assert_allclose(outputs["predictions"], vit(x), atol=1e-6)
