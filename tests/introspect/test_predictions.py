"""Presets choose feature maps, not what makes predictions of them: masks, pictures, densities, scores of boxes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.model_kinds import images

import visualcnn_tf as vc


def paths(model: Any, layers: Any, **options: Any) -> list[str]:
    return [tap.path for tap in vc.attach(model, layers, **{"size": None, **options}).taps]


def conv(filters: int, name: str, activation: Any = "relu", **options: Any) -> Any:
    return L.Conv2D(filters, options.pop("kernel", 3), padding="same", activation=activation, name=name, **options)


def trunk() -> tuple[Any, dict[str, Any]]:
    """Three stages, the last of 16 channels and 8×8."""
    image = keras.Input((32, 32, 3))
    c1 = conv(8, "c1")(image)
    c2 = conv(16, "c2")(L.MaxPooling2D(name="p1")(c1))
    c3 = conv(16, "c3")(L.MaxPooling2D(name="p2")(c2))
    return image, {"c1": c1, "c2": c2, "c3": c3}


def headless(*tail: Any) -> keras.Model:
    image, maps = trunk()
    x = maps["c3"]
    for layer in tail:
        x = layer(x)
    return keras.Model(image, x)


FEATURES: dict[str, tuple[list[Any], str]] = {
    "relu": ([conv(4, "end")], "end"),
    "relu_apart": ([conv(4, "linear", None), L.ReLU(name="end")], "end"),
    "relu_as_layer": ([conv(4, "end", L.LeakyReLU(name="leaky"))], "end/leaky"),
    "gelu": ([conv(4, "end", "gelu")], "end"),
    "normalization": ([conv(4, "linear", None), L.BatchNormalization(name="end")], "end"),
    "pooling": ([conv(4, "linear", None), L.MaxPooling2D(name="end")], "end"),
    "linear_of_as_many_channels": ([conv(16, "end", None)], "end"),
    "linear_of_more_channels": ([conv(32, "end", None)], "end"),
    "tanh_of_as_many_channels": ([conv(16, "end", "tanh")], "end"),
    "depthwise": ([L.DepthwiseConv2D(3, name="end")], "end"),
    "rows_of_features": ([conv(4, "end"), L.Reshape((-1, 4))], "end"),
    "enlarged": ([conv(4, "end"), L.UpSampling2D(4)], "end"),
}
PREDICTIONS: dict[str, list[Any]] = {
    "logits": [conv(3, "out", None)],
    "probabilities": [conv(3, "out", "sigmoid")],
    "softmax_of_more_classes": [conv(20, "out", None), L.Softmax()],
    "softmax_after_a_normalization": [conv(3, "out", None), L.BatchNormalization(), L.Activation("softmax")],
    "density": [conv(1, "out")],
    "picture": [conv(3, "out", "tanh"), L.UpSampling2D(4), L.Rescaling(127.5)],
    "more_classes_at_full_size": [conv(19, "out", None), L.Resizing(32, 32)],
    "transposed": [L.Conv2DTranspose(19, 4, strides=4, padding="same", name="out")],
    "rows_of_more_channels": [conv(21, "out", None), L.Reshape((-1, 7))],
    "dense": [L.Dense(3, name="out")],
    "one_custom_layer": [L.SeparableConv2D(2, 3, name="out")],
}


@pytest.mark.sweep(cases=6)
@pytest.mark.parametrize("name", FEATURES)
def test_the_end_of_a_feature_extractor_is_its_last_map(name: str) -> None:
    tail, expected = FEATURES[name]
    assert paths(headless(*tail), "last") == [expected]


@pytest.mark.sweep(cases=6)
@pytest.mark.parametrize("name", PREDICTIONS)
def test_what_makes_predictions_is_no_feature_map(name: str) -> None:
    model = headless(*PREDICTIONS[name])
    assert paths(model, "last") == ["c3"]
    assert paths(model, "stages") == ["c1", "c2", "c3"]
    assert paths(model, "out") == ["out"]


def test_a_sum_is_a_feature_map_unless_the_image_is_the_other_part() -> None:
    image, maps = trunk()
    model = keras.Model(image, L.Add(name="sum")([maps["c3"], conv(16, "branch", None)(maps["c3"])]))
    assert paths(model, "last") == ["sum"]
    image = keras.Input((32, 32, 1))
    noise = conv(1, "noise", None)(conv(8, "b")(conv(8, "a")(image)))
    assert paths(keras.Model(image, L.Subtract(name="denoised")([image, noise])), "last") == ["b"]


@keras.saving.register_keras_serializable(package="tests")
class Raw(keras.Model):
    """A model whose activation is a plain operation."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.first, self.second = conv(8, "first"), conv(4, "second", None)

    def call(self, x: Any) -> Any:
        return self.function(self.second(self.first(x)[:, ::2, ::2]))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        *((function, "second") for function in (tf.nn.relu, keras.ops.relu6, tf.nn.silu, keras.ops.gelu)),
        *((function, "first") for function in (tf.nn.sigmoid, tf.identity)),
    ],
)
def test_activations_that_are_plain_operations(function: Any, expected: str) -> None:
    model = Raw(function)
    model(images(1, 16, 16, 3))
    assert paths(model, "last") == [expected]


def test_fcn_with_scores_of_several_maps() -> None:
    """Class scores of two maps, enlarged by transposed convolutions, added, enlarged again."""
    image, maps = trunk()
    scores = L.Conv2DTranspose(5, 4, strides=2, padding="same", name="up2")(
        conv(5, "score3", None, kernel=1)(maps["c3"])
    )
    scores = L.Add(name="fused")([scores, conv(5, "score2", None, kernel=1)(maps["c2"])])
    mask = L.Conv2DTranspose(5, 4, strides=2, padding="same", name="up1")(scores)
    for output in (mask, L.Softmax()(mask)):
        assert paths(keras.Model(image, output), "stages") == ["c1", "c2", "c3"]


@pytest.mark.parametrize("sides", [True, False])
@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_edge_detection_by_side_outputs(sides: bool, activation: Any) -> None:
    """HED: a 1x1 convolution and an enlargement for each stage, and all of them fused."""
    image, maps = trunk()
    enlarged = [
        L.UpSampling2D(2**index)(conv(1, f"side{index}", activation, kernel=1)(maps[name]))
        for index, name in enumerate(maps)
    ]
    fused = conv(1, "fuse", "sigmoid", kernel=1)(L.Concatenate(name="together")(enlarged))
    outputs = [*(L.Activation("sigmoid")(one) for one in enlarged), fused] if sides else fused
    assert paths(keras.Model(image, outputs), "stages") == ["c1", "c2", "c3"]


def pyramid() -> tuple[Any, list[Any]]:
    """The maps P3 and P4 of a pyramid, 16×16 and 8×8, without activations."""
    image = keras.Input((64, 64, 3))
    c3 = conv(8, "c3", strides=2)(conv(8, "c2", strides=2)(image))
    c4 = conv(8, "c4", strides=2)(c3)
    p4 = conv(6, "p4", None)(c4)
    p3 = L.Add(name="p3")([L.UpSampling2D()(p4), conv(6, "lateral", None, kernel=1)(c3)])
    return image, [p3, p4]


def shared_head(units: int, name: str) -> keras.Model:
    return keras.Sequential([keras.Input((None, None, 6)), conv(6, "tower"), conv(units, "out", None)], name=name)


def detector(kind: str) -> keras.Model:
    """A dense detector: heads shared by the levels, shared but for normalizations, or of their own."""
    image, levels = pyramid()

    def rows(units: int, name: str) -> Any:
        if kind == "shared":
            head = shared_head(units, name)
            found = [head(level) for level in levels]
        elif kind == "shared_but_for_normalizations":
            tower, out = conv(6, f"{name}_tower", None), conv(units, f"{name}_out", None)
            found = [out(L.ReLU()(L.BatchNormalization()(tower(level)))) for level in levels]
        else:
            found = [conv(units, f"{name}{index}", None)(level) for index, level in enumerate(levels)]
        return L.Concatenate(axis=1)([L.Reshape((-1, units))(one) for one in found])

    return keras.Model(image, {"classes": L.Activation("sigmoid")(rows(21, "cls")), "boxes": rows(4, "box")})


@pytest.mark.sweep(cases=5)
@pytest.mark.parametrize("kind", ["shared", "shared_but_for_normalizations", "of_their_own"])
@pytest.mark.parametrize("output", [None, "classes", "boxes"])
def test_detectors_have_their_pyramid_as_feature_maps(kind: str, output: Any) -> None:
    options = {"output": output}
    assert paths(detector(kind), "stages", **options) == ["c2", "c3", "p4", "p3"]
    assert paths(detector(kind), "last", **options) == ["p3"]


def surest_box(output: Any) -> Any:
    return tf.reduce_max(output[:, :, 1], 1)


def test_gradcam_of_a_box_is_nowhere_blank() -> None:
    keras.utils.set_random_seed(0)
    explained = vc.attach(detector("shared"), "last", method="gradcam", output="classes", target=surest_box, size=None)
    heatmap = explained.predict(images(2, 64, 64, 3), verbose=0)["heatmap_p3"]
    assert heatmap.shape == (2, 16, 16)
    assert (heatmap.max((1, 2)) == 1).all()


def test_yolo_whose_outputs_are_maps_of_numbers_of_boxes() -> None:
    image, levels = pyramid()
    outputs = [
        L.Reshape((*level.shape[1:3], 1, 5))(conv(5, f"out{index}", None, kernel=1)(conv(12, f"body{index}")(level)))
        for index, level in enumerate(levels)
    ]
    assert paths(keras.Model(image, outputs), "stages") == ["c2", "c3", "body1", "body0"]


def test_a_backbone_that_sees_several_scales_is_no_head() -> None:
    image = keras.Input((32, 32, 3))
    backbone = keras.Sequential([keras.Input((None, None, 3)), conv(8, "a"), conv(8, "b", strides=2)], name="backbone")
    fine, coarse = backbone(image), backbone(L.AveragePooling2D(2, name="smaller")(image))
    joined = L.Concatenate(name="joined")([fine, L.UpSampling2D()(coarse)])
    mask = conv(2, "mask", "softmax")(joined)
    assert paths(keras.Model(image, mask), "last") == ["joined"]


def test_pyramids_in_any_order() -> None:
    image, maps = trunk()
    for order in (["c1", "c2", "c3"], ["c3", "c2", "c1"], ["c2", "c3", "c1"]):
        model = keras.Model(image, [maps[name] for name in order])
        assert paths(model, "stages") == ["c1", "c2", "c3"]
        assert paths(model, "last") == ["c3"]
    model = keras.Model(image, {name: maps[name] for name in ("c3", "c1")})
    assert paths(model, "last", output="c1") == ["c1"]


def test_feature_pyramid_as_outputs() -> None:
    image, (p3, p4) = pyramid()
    p3 = conv(6, "smooth3", None)(p3)
    p5 = conv(6, "p5", None, strides=2)(p4)
    for outputs in ([p3, p4, p5], {"P5": p5, "P4": p4, "P3": p3}):
        assert paths(keras.Model(image, outputs), "stages") == ["c2", "c3", "p4", "p5", "smooth3"]
    p6 = L.Conv2D(6, 4, name="p6")(p5)  # a level of one position
    assert paths(keras.Model(image, [p3, p4, p5, p6]), "stages") == ["c2", "c3", "p4", "p5", "smooth3"]


def classifier_with(**beside: str) -> keras.Model:
    """Class scores, with maps as further outputs before them."""
    image, maps = trunk()
    label = L.Dense(4, activation="softmax", name="label")(L.GlobalAveragePooling2D()(maps["c3"]))
    return keras.Model(image, {**{name: maps[of] for name, of in beside.items()}, "classes": label})


@pytest.mark.parametrize("method", ["deviation", "gradcam"])
def test_an_auxiliary_map_does_not_cut_the_search(method: str) -> None:
    model = classifier_with(features="c1", more="c2")
    output = None if method == "deviation" else "classes"
    assert paths(model, "last", method=method, output=output) == ["c3"]
    assert paths(model, "stages", method=method, output=output) == ["c1", "c2", "c3"]


def test_classes_decide_over_a_reconstruction() -> None:
    image, maps = trunk()
    label = L.Dense(4)(L.GlobalAveragePooling2D()(maps["c3"]))
    decoded = conv(8, "decoded")(L.UpSampling2D(4)(maps["c3"]))
    model = keras.Model(image, {"picture": conv(3, "out", "sigmoid")(decoded), "classes": label})
    assert paths(model, "last") == ["c3"]
    assert paths(model, "last", output="picture") == ["decoded"]
    assert paths(model, "conv", output="classes") == ["c1", "p1", "c2", "p2", "c3"]
    assert paths(model, None, output="picture") == ["c1", "p1", "c2", "p2", "c3", "decoded", "out"]


def test_output_chooses_layers_for_methods_without_a_target_and_nothing_else() -> None:
    model = classifier_with(features="c2")
    x = images(2, 32, 32, 3)
    chosen = vc.attach(model, "last", output="features").predict(x, verbose=0)
    plain = vc.attach(model, "c2").predict(x, verbose=0)
    assert list(chosen) == list(plain)
    np.testing.assert_array_equal(chosen["heatmap_c2"], plain["heatmap_c2"])
    assert paths(model, ["c1", "last"], output="features") == ["c1", "c2"]
    message = r"`output` must be None where `layers` are named.*Received: 'features'\. Use a method such as 'gradcam'"
    for layers in ("c1", "c*", ["c1", 2]):
        with pytest.raises(vc.InvalidArgumentError, match=message):
            vc.attach(model, layers, output="features")
    with pytest.raises(vc.InvalidArgumentError, match=r"`output` must be one of 'features', 'classes'\. Received: 'x'"):
        vc.attach(model, "last", output="x")


@keras.saving.register_keras_serializable(package="tests")
class Sampling(L.Layer):
    """Like deformable attention: offsets and weights of several points for each query, with axes of other meaning."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.offsets, self.weights_, self.value = L.Dense(2 * 3 * 4), L.Dense(2 * 3), L.Dense(8)
        self.scores, self.points = L.Softmax(name="scores"), L.Activation("tanh", name="points")

    def build(self, shape: Any) -> None:
        for layer in (self.offsets, self.weights_, self.value):
            layer.build(shape)

    def call(self, rows: Any) -> Any:
        count = rows.shape[1]
        points = self.points(tf.reshape(self.offsets(rows), (-1, count, 2, 3, 4)))  # (B, N, heads, points, 4)
        scores = self.scores(tf.reshape(self.weights_(rows), (-1, 2, count, 3)))  # (B, heads, N, points)
        return (
            self.value(rows) * tf.reduce_mean(points, (2, 3, 4))[..., None] * tf.reduce_mean(scores, (1, 3))[..., None]
        )


def test_tensors_with_more_axes_than_maps_are_none() -> None:
    image, maps = trunk()
    rows = Sampling(name="sampling")(L.Reshape((-1, 16))(maps["c3"]))
    model = keras.Model(image, {"logits": L.Dense(3)(rows), "boxes": L.Dense(4, activation="sigmoid")(rows)})
    # The rows are tokens on the grid of c3; what is sampled inside, by heads and points, is no map.
    assert paths(model, "stages") == ["c1", "c2", "sampling"]
    assert paths(model, "last") == ["sampling"]


@keras.saving.register_keras_serializable(package="tests")
class WindowAttention(L.Layer):
    """Attention within windows, which are further elements of the batch meanwhile."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.value = L.Dense(16, name="value")

    def build(self, shape: Any) -> None:
        self.value.build(shape)

    def call(self, x: Any) -> Any:
        windows = self.value(tf.reshape(x, (-1, 4, 4, 16)))
        return x + tf.reshape(windows, tf.shape(x))


def test_windows_of_attention_are_no_maps() -> None:
    image, maps = trunk()
    attended = WindowAttention(name="attended")(maps["c3"])
    model = keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(attended)))
    assert paths(model, "stages") == ["c1", "c2", "attended"]


def test_operations_that_only_move_end_no_stage() -> None:
    image = keras.Input((32, 32, 3))
    x = keras.ops.pad(conv(4, "first")(image), [[0, 0], [3, 3], [3, 3], [0, 0]])
    x = L.Conv2D(4, 7, strides=2, activation="relu", name="second")(x)
    x = keras.ops.flip(x, 2)[:, 1:-1, 1:-1]
    x = keras.ops.pad(keras.ops.transpose(x, (0, 2, 1, 3)) * 0.5, [[0, 0], [5, 5], [5, 5], [0, 0]])
    model = keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(x)))
    assert paths(model, "stages") == ["first", "second"]
    x = L.Lambda(lambda x: tf.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]], "REFLECT"))(x)
    x = L.Conv2D(4, 5, activation="relu", name="third")(x)
    model = keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(x)))
    assert paths(model, "stages") == ["first", "third"]


@pytest.mark.parametrize("kind", ["layer", "reshaped", "operation", "custom"])
def test_conv_leaves_out_the_gates_of_squeeze_and_excitation(kind: str) -> None:
    image, maps = trunk()
    x = maps["c3"]
    if kind == "layer":
        pooled = L.GlobalAveragePooling2D(keepdims=True)(x)
    elif kind == "reshaped":
        pooled = L.Reshape((1, 1, 16))(L.GlobalMaxPooling2D()(x))
    else:
        pooled = keras.ops.mean(x, (1, 2), keepdims=True)
    if kind == "custom":
        gated = Gate(name="gate")(x)
        names = ["gate/squeeze", "gate/excite"]
    else:
        gate = conv(16, "excite", "sigmoid", kernel=1)(conv(4, "squeeze", kernel=1)(pooled))
        gated = L.Multiply()([x, gate])
        names = ["squeeze", "excite"]
    model = keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(conv(8, "c4")(gated))))
    assert paths(model, "conv") == ["c1", "p1", "c2", "p2", "c3", "c4"]
    assert paths(model, names) == names


@keras.saving.register_keras_serializable(package="tests")
class Gate(L.Layer):
    """Squeeze and excitation by plain operations and layers of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.squeeze, self.excite = conv(4, "squeeze", kernel=1), conv(16, "excite", "sigmoid", kernel=1)

    def build(self, shape: Any) -> None:
        self.squeeze.build(shape)
        self.excite.build((*shape[:-1], 4))

    def call(self, x: Any) -> Any:
        return x * self.excite(self.squeeze(tf.reduce_mean(x, (1, 2), keepdims=True)))


def test_maps_that_convolutions_shrank_to_one_position_stay() -> None:
    steps = [conv(4, "a", strides=2), L.Conv2D(4, 4, name="b"), conv(4, "c", kernel=1), L.Flatten(), L.Dense(2)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *steps])
    assert paths(model, "conv") == ["a", "b", "c"]
    assert paths(model, "c") == ["c"]
    assert paths(model, "last") == ["a"]
