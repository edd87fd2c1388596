"""Masks as what is explained: the logits of a class, summed over pixels."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support import oracle_gradient
from support.linear_classifier import classifier
from support.masks import SPACE, X, pixels_of, ranked, raw, raw_map, seed_of, segmenter
from support.model_kinds import images
from support.oracle import assert_close

import visualcnn_tf as vc
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError, ProbabilityWarning
from visualcnn_tf.targets import ClassIndex, Mask

B, K = len(X), 3


@pytest.fixture(scope="module")
def model() -> Any:
    return segmenter(activation="softmax")


@pytest.fixture(scope="module")
def output(model: Any) -> np.ndarray:
    found = model(X).numpy()
    assert all(pixels_of(found, k).any() for k in range(K))
    return found


def own(output: Any, classes: Any, exclusive: bool = True) -> np.ndarray:
    """The predicted masks of one class for each image."""
    masks = [pixels_of(output[b : b + 1], max(k, 0), exclusive)[0] * (k >= 0) for b, k in enumerate(classes)]
    return np.array(masks, np.float64)


def present(output: Any, classes: Any, exclusive: bool = True) -> np.ndarray:
    """The classes, -1 where no pixel is predicted as them."""
    return np.where(own(output, classes, exclusive).any((1, 2)), classes, -1)


# --- every way to say which class ---


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_one_class(model: Any, output: np.ndarray, method: str) -> None:
    for k in range(K):
        explained = raw(model, type(vc.methods.get(method))(relu=False), target=k)(X)
        assert list(explained) == ["predictions", "explained_class", "heatmap_maps"]
        np.testing.assert_array_equal(explained["explained_class"], present(output, [k] * B))
        assert_close(explained["heatmap_maps"], raw_map(model, X, own(output, [k] * B), [k] * B, method))
    assert raw(model).plan.class_count == K


def test_several_classes_predicted_and_top(model: Any, output: np.ndarray) -> None:
    best = ranked(output)
    columns = {
        "predicted": ([""], best[:, :1]),
        "top2": (["_top1", "_top2"], best[:, :2]),
        (2, 0): (["_class2", "_class0"], np.repeat([[2, 0]], B, 0)),
    }
    for target, (suffixes, classes) in columns.items():
        explained = raw(model, target=target)(X)
        for column, suffix in enumerate(suffixes):
            k = classes[:, column]
            assert_close(explained[f"heatmap_maps{suffix}"], raw_map(model, X, own(output, k), k))
        want = np.stack([present(output, k) for k in classes.T], 1)
        np.testing.assert_array_equal(explained["explained_class"], want if len(suffixes) > 1 else want[:, 0])


def test_the_class_of_each_request(model: Any, output: np.ndarray) -> None:
    explained = raw(model, target="input")
    asked = np.array([2, -1, 0, 9], np.int32)
    classes = np.array([2, ranked(output)[1, 0], 0, -1])
    for given in ({"image": X, "class_index": asked}, [X, asked]):
        outputs = explained(given)
        np.testing.assert_array_equal(outputs["explained_class"], present(output, classes))
        assert_close(outputs["heatmap_maps"], raw_map(model, X, own(output, classes), classes))
    predicted = raw(model)(X)
    for key, value in explained(X).items():
        np.testing.assert_array_equal(value, predicted[key])


@pytest.mark.sweep
@pytest.mark.parametrize("normalize", ["minmax", ("range", -1.0, 1.0)])
@pytest.mark.parametrize("method", ["gradcam", "reciprocam", "ablationcam"])
def test_a_class_that_no_pixel_is_predicted_as(method: str, normalize: Any) -> None:
    model = segmenter()
    model.get_layer("logits").bias.assign([0.0, 0.0, -1e3])
    for dtype in ("float32", "uint8"):
        explained = vc.attach(model, "maps", method=method, target=[2, 0], normalize=normalize, heatmap_dtype=dtype)
        outputs = explained(X[:2])
        np.testing.assert_array_equal(outputs["explained_class"], [[-1, 0]] * 2)
        assert outputs["heatmap_maps_class2"].dtype == dtype
        assert not outputs["heatmap_maps_class2"].numpy().any()
        assert outputs["heatmap_maps_class0"].numpy().any()


def test_a_class_that_the_model_lacks(model: Any) -> None:
    for target in (3, [0, 3], "top4", Mask(3)):
        with pytest.raises(InvalidArgumentError, match="within the model's 3 classes, 0 to 2"):
            raw(model, target=target)


# --- every way to end a model ---


def twice(x: Any) -> Any:
    return tf.image.resize(x, (2 * SPACE[0], 2 * SPACE[1]))


class Twice(L.Layer):
    """Bilinear, as heads of transformers end."""

    def call(self, x: Any) -> Any:
        return twice(x)


class Clipped(L.Layer):
    """Probabilities that have a logarithm."""

    def call(self, x: Any) -> Any:
        return tf.clip_by_value(x, 1e-7, 1.0)


def same(x: Any) -> Any:
    return x


#: A model, and what happens to its logits until they are of the size of the output.
ENDS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "softmax layer": (lambda: segmenter(L.Softmax()), same),
    "log-softmax": (lambda: segmenter(activation="log_softmax"), same),
    "linear": (segmenter, same),
    "rows of pixels": (lambda: segmenter(L.Reshape((-1, K)), L.Softmax(), L.Reshape((*SPACE, K))), same),
    "softmax, then bilinear": (lambda: segmenter(L.Softmax(), Twice()), twice),
    "softmax, then nearest": (
        lambda: segmenter(L.Softmax(), L.UpSampling2D(2)),
        lambda z: tf.repeat(tf.repeat(z, 2, 1), 2, 2),
    ),
    "bilinear, then softmax": (lambda: segmenter(L.UpSampling2D(2, interpolation="bilinear"), L.Softmax()), twice),
    "sigmoids": (lambda: segmenter(activation="sigmoid"), same),
    "clipped": (lambda: segmenter(L.Softmax(), Clipped()), same),
}


@pytest.mark.sweep(cases=5)
@pytest.mark.parametrize("end", ENDS)
def test_the_score_is_the_logit_of_each_pixel(end: str) -> None:
    builder, arranged = ENDS[end]
    model, exclusive = builder(), end != "sigmoids"
    output = model(X).numpy()
    for target, classes in ((1, np.full(B, 1)), ("predicted", ranked(output, exclusive)[:, 0])):
        with tf.GradientTape() as tape:
            logits = tf.zeros((B, *SPACE, K))
            tape.watch(logits)
            score = tf.reduce_sum(arranged(logits) * seed_of(own(output, classes, exclusive), classes, K))
        by_logits = tape.gradient(score, logits).numpy().astype(np.float64)
        a, kernel = model.get_layer("maps")(X).numpy(), model.get_layer("logits").kernel.numpy()[0, 0]
        explained = raw(model, target=target)(X)
        np.testing.assert_array_equal(explained["explained_class"], present(output, classes, exclusive))
        assert_close(explained["heatmap_maps"], oracle_gradient.fuse(a, by_logits @ kernel.T, "hirescam", relu=False))


@pytest.mark.parametrize("k", [0, 1])
def test_one_sigmoid_mask_speaks_for_class_1_and_against_class_0(k: int) -> None:
    model = segmenter(classes=1, activation="sigmoid")
    output = model(X).numpy()
    for target, classes in ((k, [k] * B), (f"top{k + 1}", ranked(output)[:, k])):
        explained = raw(model, target=target)(X)
        key = f"heatmap_maps_top{k + 1}" if target != k else "heatmap_maps"
        assert_close(explained[key], raw_map(model, X, own(output, classes), classes))
        found = np.asarray(explained["explained_class"]).reshape(B, -1)[:, -1]
        np.testing.assert_array_equal(found, present(output, classes))


@pytest.mark.parametrize("end", ["softmax", "sigmoid", "linear"])
def test_channels_first(end: str) -> None:
    keras.utils.set_random_seed(2)
    image = keras.Input((2, *SPACE), name="image")
    maps = L.Conv2D(5, 3, padding="same", activation="relu", data_format="channels_first", name="maps")(image)
    logits = L.Conv2D(K, 1, data_format="channels_first", name="logits")(maps)
    model = keras.Model(image, L.Softmax(axis=1)(logits) if end == "softmax" else L.Activation(end)(logits))
    x = np.moveaxis(X, -1, 1)
    output = np.moveaxis(model(x).numpy(), 1, -1)
    a = np.moveaxis(model.get_layer("maps")(x).numpy(), 1, -1)
    for k in range(K):
        weights = own(output, [k] * B, end != "sigmoid")
        g = seed_of(weights, [k] * B, K) @ model.get_layer("logits").kernel.numpy()[0, 0].T
        explained = raw(model, target=k)(x)
        assert_close(explained["heatmap_maps"], oracle_gradient.fuse(a, g, "hirescam", relu=False))
    assert raw(model).plan.class_count == K


def test_a_volume() -> None:
    keras.utils.set_random_seed(2)
    scan = keras.Input((4, 5, 6, 1))
    maps = L.Conv3D(3, 3, padding="same", activation="relu", name="maps")(scan)
    model = keras.Model(scan, L.Conv3D(K, 1, activation="softmax", name="logits")(maps))
    x = images(2, 4, 5, 6, 1)
    output, a = model(x).numpy(), model.get_layer("maps")(x).numpy()
    kernel = model.get_layer("logits").kernel.numpy()[0, 0, 0]
    k = int(np.bincount(output.argmax(-1).ravel()).argmax())
    for region, weights in ((None, output.argmax(-1) == k), ((1, 2, 3), np.zeros(output.shape[:-1]))):
        if region is not None:
            weights[:, 1, 2, 3] = 1
        g = np.einsum("bdhw,c->bdhwc", weights, kernel[:, k])
        explained = raw(model, target=Mask(k, region))(x)
        assert_close(explained["heatmap_maps"], oracle_gradient.fuse(a, g, "hirescam", relu=False))


def test_a_sure_mask_has_its_map() -> None:
    model = segmenter(activation="softmax")
    logits = model.get_layer("logits")
    logits.kernel.assign(logits.kernel * 1e4)
    output = model(X).numpy()
    for k in range(K):
        assert_close(raw(model, target=k)(X)["heatmap_maps"], raw_map(model, X, own(output, [k] * B), [k] * B))


def test_half_precision() -> None:
    model = segmenter(L.Softmax(dtype="float32"), dtype="mixed_float16")
    output = model(X).numpy()
    explained = raw(model, target=1)(X)
    assert_close(explained["heatmap_maps"], raw_map(model, X, own(output, [1] * B), [1] * B), 5e-3)


# --- regions ---

RNG = np.random.default_rng(3)
SHAPE = RNG.random(SPACE) > 0.6
WEIGHTS = RNG.random(SPACE)
POINT = np.zeros(SPACE)
POINT[4, 7] = 1


@pytest.mark.parametrize(
    ("region", "weights"),
    [("all", np.ones(SPACE)), (SHAPE, SHAPE), (WEIGHTS.tolist(), WEIGHTS), ((4, 7), POINT), (np.array([4, 7]), POINT)],
    ids=["all", "bools", "weights", "point", "point in an array"],
)
def test_a_constant_region(model: Any, region: Any, weights: np.ndarray) -> None:
    each = np.repeat(weights[np.newaxis], B, 0)
    explained = raw(model, target=Mask([2, 0], region))(X)
    for k in (2, 0):
        assert_close(explained[f"heatmap_maps_class{k}"], raw_map(model, X, each, [k] * B))
    np.testing.assert_array_equal(explained["explained_class"], [[2, 0]] * B)


def test_a_mask_without_a_region_is_the_class(model: Any) -> None:
    for target in ([1, 2], "predicted"):
        want = raw(model, target=target)(X)
        for key, value in raw(model, target=Mask(target))(X).items():
            np.testing.assert_array_equal(value, want[key])


def test_a_region_with_each_request(model: Any, output: np.ndarray) -> None:
    explained = raw(model, target=Mask("input", region="input"))
    assert [(spec.name, spec.shape) for spec in explained.inputs][1:] == [
        ("class_index", (None,)),
        ("region", (None, *SPACE)),
    ]
    region = np.stack([SHAPE, -np.ones(SPACE), 0 * WEIGHTS, np.where(SHAPE, -1, WEIGHTS)]).astype(np.float32)
    classes = np.array([2, 1, 0, 1])
    masks = own(output, classes)
    weights = np.where(region < 0, masks, region)
    given = {"image": X, "class_index": classes, "region": region}
    for outputs in (explained(given), explained([X, classes, region]), explained.predict(given, verbose=0)):
        np.testing.assert_array_equal(outputs["explained_class"], np.where(weights.any((1, 2)), classes, -1))
        assert_close(outputs["heatmap_maps"], raw_map(model, X, weights, classes))
        assert not np.asarray(outputs["heatmap_maps"])[2].any()
    # Any of them may be left out, and one region may be for all images.
    one = explained({"image": X, "region": SHAPE})
    predicted = ranked(output)[:, 0]
    assert_close(one["heatmap_maps"], raw_map(model, X, np.repeat(SHAPE[np.newaxis], B, 0), predicted))
    asked = explained({"image": X, "class_index": 2})
    assert_close(asked["heatmap_maps"], raw_map(model, X, own(output, [2] * B), [2] * B))
    for key, value in explained(X).items():
        np.testing.assert_allclose(value, raw(model)(X)[key], atol=1e-6)


def test_a_point_with_each_request(model: Any, output: np.ndarray) -> None:
    explained = raw(model, target=Mask(2, region="point"))
    points = np.array([[4, 7], [-1, -1], [0, 0], [10, 3]])
    weights = np.zeros((B, *SPACE))
    weights[0, 4, 7] = weights[2, 0, 0] = 1
    weights[1] = own(output, [2] * B)[1]
    outputs = explained({"image": X, "point": points})
    assert_close(outputs["heatmap_maps"], raw_map(model, X, weights, [2] * B))
    np.testing.assert_array_equal(outputs["explained_class"], [2, 2 if weights[1].any() else -1, 2, -1])
    same_for_all = explained({"image": X, "point": (4, 7)})
    assert_close(same_for_all["heatmap_maps"], raw_map(model, X, np.repeat(POINT[np.newaxis], B, 0), [2] * B))


def test_names_of_inputs_that_the_model_has_itself() -> None:
    image, region = keras.Input((*SPACE, 2), name="image"), keras.Input((*SPACE, 1), name="region")
    maps = L.Conv2D(5, 3, padding="same", activation="relu", name="maps")(L.Concatenate()([image, region]))
    model = keras.Model([image, region], L.Conv2D(K, 1, name="logits")(maps))
    explained = raw(model, target=Mask(1, region="input"))
    assert [spec.name for spec in explained.inputs] == ["image", "region", "region_2"]
    own_region = np.ones((B, *SPACE, 1), np.float32)
    given = {"image": X, "region": own_region, "region_2": np.repeat(WEIGHTS[np.newaxis], B, 0)}
    constant = raw(model, target=Mask(1, region=WEIGHTS))({"image": X, "region": own_region})
    assert_close(explained(given)["heatmap_maps"], constant["heatmap_maps"].numpy())


# --- methods that run the model again ---


@pytest.mark.sweep
@pytest.mark.parametrize("region", [None, "all"])
@pytest.mark.parametrize("method", ["reciprocam", "ablationcam", "scorecam"])
def test_replays_keep_the_mask_of_the_unchanged_image(method: str, region: Any) -> None:
    model = segmenter(L.Softmax())
    x = X[:2]
    output = model(x).numpy()
    kernel, bias = (w.numpy().astype(np.float64) for w in model.get_layer("logits").weights)
    classes = ranked(output)[:, 0]
    weights = own(output, classes) if region is None else np.ones((2, *SPACE))
    found = []
    for b, k in enumerate(classes):
        a = model.get_layer("maps")(x[b : b + 1]).numpy()[0].astype(np.float64)

        def score(a: np.ndarray, b: int = b, k: int = k) -> float:
            return float(((a @ kernel[0, 0, :, k] + bias[k]) * weights[b]).sum())

        def score_of_image(image: np.ndarray, score: Any = score) -> float:
            return score(model.get_layer("maps")(image[np.newaxis].astype(np.float32)).numpy()[0].astype(np.float64))

        if method == "scorecam":
            found.append(oracle_gradient.scorecam(a, score_of_image, x[b]))
        else:
            found.append(getattr(oracle_gradient, method)(a, score))
    explained = raw(model, method, target=Mask("predicted", region))(x)
    assert_close(explained["heatmap_maps"], np.array(found), 1e-4)


# --- refusals ---


@pytest.mark.parametrize(
    "wrong",
    ["al", "Input", 3, -1.0, (1,), (1, -1), (1.5, 2), [[1, 2], [3]], np.zeros(SPACE), -np.ones(SPACE), [[np.nan]], {}],
    ids=str,
)
def test_what_no_region_is(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`region` must be .*Received: "):
        Mask(1, wrong)


@pytest.mark.parametrize("wrong", ["predict", -1, [], None, "top0", [1, 1]])
def test_what_no_class_of_a_mask_is(wrong: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`class_index` must be 'predicted', 'input', .*Received: "):
        Mask(wrong)


def test_a_region_must_fit(model: Any) -> None:
    for wrong in (np.ones((8, 10)), np.ones((4, 10, 8))):
        with pytest.raises(
            InvalidArgumentError, match=r"`region` must be of the size of the model's output, \(10, 8\)"
        ):
            raw(model, target=Mask(1, wrong))
    for point in ((10, 0), (0, 8), (0, 0, 0)):
        with pytest.raises(InvalidArgumentError, match=r"`region` must be a point of the model's output, \(10, 8\)"):
            raw(model, target=Mask(1, point))


def test_a_region_needs_a_known_size() -> None:
    head = keras.Sequential([keras.Input((None, None, 2)), L.Conv2D(5, 3, padding="same", name="maps"), L.Conv2D(K, 1)])
    for region in ("input", np.ones(SPACE)):
        with pytest.raises(InvalidArgumentError, match=r"`region` .*\(\?, \?\).* Attach with `input_shape`"):
            raw(head, target=Mask(1, region))
        raw(head, target=Mask(1, region), input_shape=(*SPACE, 2))
    any_size = raw(head, target=Mask(1, (2, 3)))
    for size in (SPACE, (5, 4)):
        x = images(2, *size, 2)
        weights = np.zeros((2, *size))
        weights[:, 2, 3] = 1
        g = np.einsum("bhw,c->bhwc", weights, head.layers[-1].kernel.numpy()[0, 0, :, 1])
        a = head.get_layer("maps")(x).numpy()
        assert_close(any_size(x)["heatmap_maps"], oracle_gradient.fuse(a, g, "hirescam", relu=False))


@pytest.mark.parametrize(
    ("given", "received"),
    [
        ({"region": np.ones((B, 8, 10))}, r"shape \(4, 8, 10\)"),
        ({"region": np.ones((3, *SPACE))}, r"shape \(3, 10, 8\)"),
        ({"region": np.ones(B)}, r"shape \(4,\)"),
    ],
)
def test_a_malformed_region(model: Any, given: Any, received: str) -> None:
    explained = raw(model, target=Mask(1, region="input"))
    allowed = r"`region` must be the weights of the pixels of the output for each image, \(B, 10, 8\), or one for all"
    for call in (explained, lambda x: explained.predict(x, verbose=0)):
        with pytest.raises(InputShapeError, match=f"{allowed}.*{received}"):
            call({"image": X, **given})


def test_a_region_where_none_is_asked_for(model: Any) -> None:
    for name in ("region", "point"):
        with pytest.raises(InputShapeError, match=rf"`inputs` holds '{name}', .* Attach with `target`=Mask"):
            raw(model)({"image": X, name: np.ones((B, 2))})


def test_masks_need_an_output_with_positions() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`target` explains masks .*\(None, 4\).* use a class index"):
        raw(classifier(L.Dense(4)), target=Mask(1))


def test_one_channel_without_a_sigmoid_is_ambiguous() -> None:
    with pytest.raises(InvalidArgumentError, match=r"1 channel and no softmax or sigmoid. If these are logits, end"):
        raw(segmenter(classes=1))


def test_class_indices_in_place_of_scores() -> None:
    argmax = segmenter(L.Softmax(), L.Lambda(lambda p: tf.argmax(p, -1)))
    with pytest.raises(InvalidArgumentError, match=r"\(an argmax\), and no gradient leads to the scores: attach to"):
        raw(argmax)


def test_feature_maps_are_no_scores_of_classes() -> None:
    backbone = keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(8, 3, strides=2, name="maps"), L.Conv2D(16, 3)])
    with pytest.raises(InvalidArgumentError, match=r"'predictions' of shape .* is feature maps.*Attach to the model"):
        raw(backbone)
    assert "explained_class" not in raw(backbone, target=lambda y: tf.reduce_sum(y, (1, 2, 3)))(images(1, 16, 16, 3))


def test_an_average_of_masks_is_warned_of() -> None:
    image = keras.Input((*SPACE, 2))
    maps = L.Conv2D(5, 3, name="maps")(image)
    heads = [L.Conv2D(K, 1, activation="softmax")(maps) for _ in range(2)]
    with pytest.warns(ProbabilityWarning, match="computed from a Softmax"):
        raw(keras.Model(image, L.Average()(heads)))


# --- saving ---


@pytest.mark.parametrize(
    "target",
    [
        Mask(7),
        Mask([7, 0], "all"),
        Mask("input", "input"),
        Mask("top2", (1, 2)),
        Mask("predicted", SHAPE),
        Mask(0, WEIGHTS),
    ],
    ids=repr,
)
def test_keras_saves_and_restores_it(target: Mask) -> None:
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(target)))
    restored = keras.saving.deserialize_keras_object(config)
    assert restored == target == vc.targets.get(config)
    assert hash(restored) == hash(target)
    assert restored != Mask(1)
    assert restored.suffixes == target.suffixes
    assert restored.inputs == target.inputs


def test_equal_targets_and_what_they_show() -> None:
    assert Mask(1) != ClassIndex(1)
    assert Mask(1, SHAPE) == Mask(1, SHAPE.astype(float))
    assert Mask(1, SHAPE) != Mask(1, WEIGHTS)
    assert repr(Mask([1, 2], SHAPE)) == "Mask(class_index=(1, 2), region=<array (10, 8)>)"
    assert repr(Mask("top2", (3, 4))) == "Mask(class_index='top2', region=(3, 4))"
