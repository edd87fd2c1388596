"""Which layers the presets select, on small models whose answer is plain."""

from __future__ import annotations

from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.model_kinds import images

import visualcnn_tf as vc
from visualcnn_tf.errors import (
    InvalidArgumentError,
)


def paths(model: Any, layers: Any, **options: Any) -> list[str]:
    return [tap.path for tap in vc.attach(model, layers, **options).taps]


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


@pytest.mark.parametrize("target", ["predicted", lambda masks: tf.reduce_mean(masks[..., 1], (1, 2))])
def test_what_explains_a_mask_starts_at_the_bottleneck(target: Any) -> None:
    for size in (32, None):
        assert paths(u_net(size), "stages", method="gradcam", target=target) == U_NET_STAGES[3:]
        assert paths(u_net(size), "last", method="gradcam", target=target) == ["up0_a"]
    # For both kinds of methods at once, too: presets choose one list of layers.
    assert paths(u_net(), "stages", method=["deviation", "gradcam"])[::2] == U_NET_STAGES[3:]


def test_a_class_of_a_model_that_grows_again_has_all_stages() -> None:
    model = u_net()
    classifier = keras.Model(model.input, L.Dense(3)(L.GlobalAveragePooling2D()(model.get_layer("up0_a").output)))
    assert paths(classifier, "stages", method="gradcam") == U_NET_STAGES
    narrowing = keras.Sequential([keras.Input((32, 32, 1)), conv(4, name="one"), L.MaxPooling2D(), conv(4, name="two")])
    narrowing.add(L.Conv2D(3, 1, activation="softmax"))
    assert paths(narrowing, "stages", method="gradcam") == ["one", "two"]


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


def test_a_text_beside_an_image_may_be_of_any_length_that_the_model_takes() -> None:
    image, words = keras.Input((32, 32, 3)), keras.Input((None,), dtype="int32")
    weights = keras.random.normal((1, 8, 4))
    meaning = L.Lambda(lambda x: x + weights[:, : keras.ops.shape(x)[1]])(L.Embedding(9, 4)(words))
    first = L.MaxPooling2D(name="pool")(conv(4, name="first")(image))
    maps = conv(4, name="second")(first)
    head = L.Add()([L.GlobalAveragePooling2D()(maps), L.GlobalAveragePooling1D()(meaning)])
    assert paths(keras.Model([image, words], head), "stages") == ["first", "second"]


@keras.saving.register_keras_serializable(package="tests")
class Scaled(L.Layer):
    """A layer that calls another one on a variable of its own, as a learned temperature is."""

    def build(self, shape: Any) -> None:
        self.temperature = self.add_weight(shape=(1,), name="temperature")
        self.grow = L.Activation("exponential")

    def call(self, x: Any) -> Any:
        return x * self.grow(self.temperature)


def test_a_layer_may_be_called_on_a_variable() -> None:
    image = keras.Input((16, 16, 3))
    maps = conv(4, name="maps")(image)
    model = keras.Model(image, Scaled(name="scaled")(L.Dense(3)(L.GlobalAveragePooling2D()(maps))))
    assert paths(model, "last") == ["maps"]
