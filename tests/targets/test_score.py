"""What is explained: the logit under every way to end a model, and every way to name a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support import oracle_gradient
from support.model_kinds import images
from support.oracle import assert_close

import visualcnn_tf as vc
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError
from visualcnn_tf.targets.score import Scores, check_target, find_head

# --- the logit, for every way to end a model ---


class Subclassed(keras.Model):
    """Ends in a layer and a function of TensorFlow's."""

    def __init__(self, units: int, last: Callable[[Any], Any]) -> None:
        super().__init__()
        self.dense = L.Dense(units, name="dense")
        self.last = last

    def call(self, x: Any) -> Any:
        return self.last(self.dense(x))


def sequential(units: int, *last: Any, **options: Any) -> Any:
    return keras.Sequential([keras.Input((5,)), L.Dense(units, name="dense", **options), *last])


def nested(units: int, activation: str) -> Any:
    inner = keras.Sequential([keras.Input((5,)), L.Dense(units, name="dense"), L.Activation(activation)], name="inner")
    features = keras.Input((5,))
    outer = keras.Model(features, inner(features))
    return keras.Sequential([keras.Input((5,)), outer])


def compiled(units: int) -> Any:
    return Subclassed(units, tf.function(lambda z: tf.nn.softmax(z * 1.0), autograph=False))


def half(units: int) -> Any:
    policy = "mixed_float16"
    return keras.Sequential(
        [keras.Input((5,)), L.Dense(units, name="dense", dtype=policy), L.Softmax(dtype="float32", name="softmax")]
    )


def half_throughout(units: int) -> Any:
    return sequential(units, L.Activation("linear", dtype="float32"), activation="softmax", dtype="mixed_float16")


def squeezed(units: int) -> Any:
    """As networks without dense layers end: a softmax over the channels of a 1 × 1 map, then flattened."""
    last = [L.Reshape((1, 1, units)), L.Softmax(), L.Dropout(0.5), L.Flatten()]
    return sequential(units, *last)


ENDS: dict[str, tuple[Callable[[], Any], str]] = {
    "dense softmax": (lambda: sequential(4, activation="softmax"), "softmax"),
    "softmax layer": (lambda: sequential(4, L.Softmax()), "softmax"),
    "activation layer": (lambda: sequential(4, L.Activation("softmax")), "softmax"),
    "log-softmax": (lambda: sequential(4, activation="log_softmax"), "softmax"),
    "nested softmax": (lambda: nested(4, "softmax"), "softmax"),
    "subclassed, tf.nn.softmax": (lambda: Subclassed(4, tf.nn.softmax), "softmax"),
    "subclassed, keras.ops.softmax": (lambda: Subclassed(4, keras.ops.softmax), "softmax"),
    "in a tf.function": (lambda: compiled(4), "softmax"),
    "reshaped and named": (lambda: sequential(4, L.Softmax(), L.Reshape((4,)), L.Identity()), "softmax"),
    "over channels of 1 x 1 maps": (lambda: squeezed(4), "softmax"),
    "float32 softmax of float16": (lambda: half(4), "softmax"),
    "float16 softmax, then float32": (lambda: half_throughout(4), "softmax"),
    "several sigmoids": (lambda: sequential(4, activation="sigmoid"), "sigmoid"),
    "nested sigmoids": (lambda: nested(4, "sigmoid"), "sigmoid"),
    "one sigmoid": (lambda: sequential(1, activation="sigmoid"), "sigmoid"),
    "one sigmoid, tf.sigmoid": (lambda: Subclassed(1, tf.sigmoid), "sigmoid"),
    "linear": (lambda: sequential(4), "linear"),
    "one linear unit": (lambda: sequential(1), "linear"),
    "softmax, then scaled": (lambda: sequential(4, L.Softmax(), L.Rescaling(2.0)), "linear"),
    "tanh": (lambda: sequential(4, activation="tanh"), "linear"),
}


def gradients_and_scores(model: Any, x: Any, target: Any, class_index: Any = None) -> Any:
    """The explained classes, the gradient of the score by the seed, and the scores of two runs of each image."""
    found = {}

    def graph(x: Any) -> Any:
        output = model(x, training=False)
        scores = Scores(output, target, class_index)
        found["kind"] = scores.head.kind
        score = tf.gradients(scores.result, x, tf.cast(scores.seed(0), scores.result.dtype))[0]
        twice = scores.of(model(tf.repeat(x, 2, axis=0), training=False), 0, 2)
        return scores.classes, score, twice

    outputs = tf.function(graph, autograph=False)(x)
    return found["kind"], *(each.numpy() for each in outputs)


@pytest.mark.parametrize("end", ENDS)
def test_the_score_is_the_logit(end: str) -> None:
    keras.utils.set_random_seed(3)
    builder, kind = ENDS[end]
    model, x = builder(), tf.constant(images(6, 5))
    output = np.asarray(tf.cast(model(x), tf.float32))
    dense = next(layer for layer in model._flatten_layers() if layer.name == "dense")
    kernel = dense.kernel.numpy()
    binary = kind == "sigmoid" and output.shape[1] == 1
    classes = (output[:, 0] > 0.5).astype(int) if binary else output.argmax(1)
    units, signs = (0 * classes, 2 * classes - 1) if binary else (classes, 1)
    if kind == "linear":  # the score is what the model returns
        with tf.GradientTape() as tape:
            tape.watch(x)
            chosen = tf.gather(model(x), classes, batch_dims=1)
        gradient, score = tape.gradient(chosen, x), chosen.numpy()
    else:
        gradient, score = (signs * kernel[:, units]).T, signs * (x.numpy() @ kernel)[range(6), units]

    found, explained, walked, twice = gradients_and_scores(model, x, "predicted")
    assert found == kind
    np.testing.assert_array_equal(explained[:, 0], classes)
    tolerance = 5e-3 if "float16" in end else 1e-6
    np.testing.assert_allclose(walked, gradient, atol=tolerance)
    np.testing.assert_allclose(twice, np.stack([score, score], 1), atol=tolerance)


@pytest.mark.parametrize("k", [0, 1])
def test_one_sigmoid_unit_speaks_for_class_1_and_against_class_0(k: int) -> None:
    model, x = sequential(1, activation="sigmoid"), tf.constant(images(3, 5))
    _, classes, gradient, twice = gradients_and_scores(model, x, k)
    kernel = model.layers[0].kernel.numpy()
    sign = [-1, 1][k]
    np.testing.assert_array_equal(classes, [[k]] * 3)
    np.testing.assert_allclose(gradient, np.repeat(sign * kernel.T, 3, 0), atol=1e-6)
    np.testing.assert_allclose(twice[:, 0], sign * (x.numpy() @ kernel)[:, 0], atol=1e-6)


def test_an_output_that_is_no_scores_of_classes_needs_a_callable() -> None:
    conv = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(3, 3, name="maps")])
    allowed = r"`target` must be a callable for an output that is not \(B, K\) scores of classes, such as "
    with pytest.raises(InvalidArgumentError, match=allowed + r".*Received: .*\(None, 6, 6, 3\) and type float32"):
        vc.attach(conv, method="gradcam")
    with pytest.raises(InvalidArgumentError, match=allowed + ".*type int64"):
        vc.attach(keras.Sequential([*conv.layers, Largest()]), method="gradcam", input_shape=(8, 8, 1))


class Largest(L.Layer):
    """The class itself, which no gradient leads to."""

    def call(self, x: Any) -> Any:
        return tf.argmax(tf.reduce_mean(x, (1, 2)), -1)[:, tf.newaxis]


def test_the_head_stays_the_softmax_that_the_model_ends_in() -> None:
    def graph(x: Any) -> Any:
        attention = tf.nn.softmax(x)
        head = find_head(tf.nn.softmax(attention * x))
        return head.logits

    x = images(2, 3)
    np.testing.assert_allclose(tf.function(graph)(x), tf.nn.softmax(x) * x, rtol=1e-6)


# --- targets, end to end ---


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(2)
    return classifier(L.Dense(4, activation="softmax", name="head"))


def classifier(*head: Any) -> Any:
    features = [L.Conv2D(5, 3, activation="relu", name="maps"), L.Flatten()]
    return keras.Sequential([keras.Input((8, 7, 2), name="image"), *features, *head])


X = images(6, 8, 7, 2)


def truth(model: Any, x: Any, classes: Any, sign: Any = 1.0, **options: Any) -> np.ndarray:
    """Of a linear head, whose kernel is the gradient; a class of -1 gives zeros."""
    a = model.get_layer("maps")(x).numpy()
    kernel = model.get_layer("head").kernel.numpy().T.reshape(-1, *a.shape[1:])
    g = np.stack([0 * a[0] if k < 0 else kernel[k] for k in classes]) * np.reshape(sign, (-1, 1, 1, 1))
    return oracle_gradient.heatmap(a, g, "layercam", (8, 7), **options)


def layercam(model: Any, **options: Any) -> Any:
    return vc.attach(model, "maps", method="layercam", **options)


def order(model: Any, x: Any) -> np.ndarray:
    return np.argsort(-model(x).numpy(), 1)


def test_predicted(model: Any) -> None:
    out = layercam(model)(X)
    assert list(out) == ["predictions", "explained_class", "heatmap_maps"]
    np.testing.assert_array_equal(out["explained_class"], order(model, X)[:, 0])
    assert out["explained_class"].dtype == tf.int32
    assert_close(out["heatmap_maps"], truth(model, X, order(model, X)[:, 0]))


@pytest.mark.parametrize("target", [0, 3, np.int64(2), np.array(2)])
def test_one_class(model: Any, target: Any) -> None:
    explained = layercam(model, target=target)
    out = explained(X)
    np.testing.assert_array_equal(out["explained_class"], [int(target)] * 6)
    assert_close(out["heatmap_maps"], truth(model, X, [int(target)] * 6))


@pytest.mark.parametrize("target", [[2, 0], (2, 0), np.array([2, 0])])
def test_several_classes(model: Any, target: Any) -> None:
    explained = layercam(model, target=target)
    keys = ["predictions", "explained_class", "heatmap_maps_class2", "heatmap_maps_class0"]
    out = explained(X)
    assert list(out) == explained.output_names == keys
    np.testing.assert_array_equal(out["explained_class"], [[2, 0]] * 6)
    assert [spec.shape for spec in explained.outputs][1] == (None, 2)
    for k in (2, 0):
        assert_close(out[f"heatmap_maps_class{k}"], truth(model, X, [k] * 6))


@pytest.mark.parametrize("count", [1, 2, 4])
def test_top(model: Any, count: int) -> None:
    explained = layercam(model, target=f"top{count}")
    out, best = explained(X), order(model, X)[:, :count]
    assert explained.heatmap_names == [f"heatmap_maps_top{n + 1}" for n in range(count)]
    np.testing.assert_array_equal(out["explained_class"], best)
    for n in range(count):
        assert_close(out[f"heatmap_maps_top{n + 1}"], truth(model, X, best[:, n]))


def test_both_classes_of_one_sigmoid_unit() -> None:
    keras.utils.set_random_seed(4)
    model = classifier(L.Dense(1, activation="sigmoid", name="head"))
    assert len(set((model(X).numpy() > 0.5).ravel())) == 2
    first = (model(X).numpy() > 0.5).ravel().astype(int)
    out = layercam(model, target="top2")(X)
    np.testing.assert_array_equal(out["explained_class"], np.stack([first, 1 - first], 1))
    for key, classes in [("heatmap_maps_top1", first), ("heatmap_maps_top2", 1 - first)]:
        assert_close(out[key], truth(model, X, [0] * 6, sign=2 * classes - 1))
    asked = layercam(model, target="input")({"image": X, "class_index": np.array([0, 1, -1, 2, 0, 1], "int32")})
    known = np.array([0, 1, first[2], -1, 0, 1])
    np.testing.assert_array_equal(asked["explained_class"], known)
    signs = np.array([-1, 1, 0])[known]
    signs[known < 0] = 0
    assert_close(asked["heatmap_maps"], truth(model, X, [0] * 6, sign=signs))


def test_every_label_of_several_sigmoids_for_itself() -> None:
    model = classifier(L.Dense(3, activation="sigmoid", name="head"))
    out = layercam(model, target=[0, 1, 2])(X)
    for k in range(3):
        assert_close(out[f"heatmap_maps_class{k}"], truth(model, X, [k] * 6))


# --- a class index as an input ---

ASKED = np.array([3, -1, 4, 0, -2, 2**31 - 1], np.int32)


@pytest.mark.parametrize("normalize", ["minmax", None, ("range", -1.0, 1.0)])
def test_class_index(model: Any, normalize: Any) -> None:
    options = {"normalize": normalize, "relu": normalize is None}
    explained = layercam(model, target="input", **options)
    assert [spec.name for spec in explained.inputs] == ["image", "class_index"]
    asked = {"image": X, "class_index": ASKED}
    classes = np.array([3, order(model, X)[1, 0], -1, 0, -1, -1])
    for out in (
        explained(asked),
        explained.predict(asked, verbose=0),
        explained.predict(asked, batch_size=4, verbose=0),
    ):
        np.testing.assert_array_equal(out["explained_class"], classes)
        heatmap = np.asarray(out["heatmap_maps"])
        np.testing.assert_array_equal(heatmap[classes < 0], np.zeros((3, 8, 7)))
        assert_close(heatmap[classes >= 0], truth(model, X, classes, **options)[classes >= 0])


def test_class_index_may_be_left_out(model: Any) -> None:
    explained, predicted = layercam(model, target="input"), layercam(model)(X)
    asked = {"image": X, "class_index": np.full(6, -1)}
    data = tf.data.Dataset.from_tensor_slices(asked).batch(4)
    calls = [explained(X), explained.predict(X, verbose=0), explained({"image": X}), explained(asked)]
    for out in (*calls, explained.predict(data, verbose=0), tf.function(explained)(X)):
        for key in predicted:
            np.testing.assert_allclose(out[key], predicted[key], atol=1e-6)


def test_class_index_beside_several_inputs() -> None:
    left, right = (keras.Input((8, 7, 2), name=name) for name in ("left", "right"))
    conv = L.Conv2D(3, 3, name="maps")
    features = L.Concatenate()([L.Flatten()(conv(left)), L.GlobalAveragePooling2D()(right)])
    output = L.Dense(4, activation="softmax")(features)
    both = {"left": X, "right": images(6, 8, 7, 2, seed=1)}
    index = {"class_index": ASKED}
    for inputs in ([left, right], {"left": left, "right": right}):
        model = keras.Model(inputs, output)
        own = list(both.values()) if isinstance(inputs, list) else both
        explained = layercam(model, target="input")
        out, fixed, predicted = explained({**both, **index}), layercam(model, target=3)(own), layercam(model)(own)
        np.testing.assert_array_equal(out["explained_class"].numpy()[[0, 2, 3, 4, 5]], [3, -1, 0, -1, -1])
        np.testing.assert_array_equal(out["predictions"], predicted["predictions"])
        np.testing.assert_allclose(out["heatmap_maps"][0], fixed["heatmap_maps"][0], atol=1e-6)
        np.testing.assert_allclose(out["heatmap_maps"][1], predicted["heatmap_maps"][1], atol=1e-6)
        np.testing.assert_allclose(explained(own)["heatmap_maps"], predicted["heatmap_maps"], atol=1e-6)
        np.testing.assert_allclose(
            explained.predict({**both, **index}, verbose=0)["heatmap_maps"], out["heatmap_maps"], atol=1e-5
        )


def test_class_index_of_a_model_that_has_such_an_input() -> None:
    image, index = keras.Input((8, 7, 2), name="image"), keras.Input((1,), name="class_index")
    features = L.Flatten()(L.Conv2D(3, 3, name="maps")(image))
    model = keras.Model([image, index], L.Dense(4)(L.Concatenate()([features, index])))
    explained = layercam(model, target="input")
    assert [spec.name for spec in explained.inputs] == ["image", "class_index", "class_index_2"]
    own = {"image": X, "class_index": np.ones((6, 1), "float32")}
    out = explained({**own, "class_index_2": np.full(6, 2, "int32")})
    np.testing.assert_array_equal(out["explained_class"], [2] * 6)


@pytest.mark.parametrize(
    ("index", "received"),
    [
        (np.zeros((6, 1), "int32"), r"shape \(6, 1\) of type int32"),
        (np.zeros(5, "int32"), r"shape \(5,\) of type int32"),
        (np.zeros(6, "float32"), r"shape \(6,\) of type float32"),
        (np.int32(3), r"shape \(\) of type int32"),
    ],
)
def test_a_malformed_class_index(model: Any, index: Any, received: str) -> None:
    explained = layercam(model, target="input")
    for call in (explained, lambda x: explained.predict(x, verbose=0)):
        with pytest.raises(InputShapeError, match=rf"`class_index` must be one integer for each image.*{received}"):
            call({"image": X, "class_index": index})


def test_a_class_index_where_none_is_asked_for(model: Any) -> None:
    for call in (layercam(model), lambda x: layercam(model).predict(x, verbose=0)):
        with pytest.raises(InputShapeError, match=r"`inputs` .*'class_index'.* `target`='input'"):
            call({"image": X, "class_index": ASKED})


# --- callables ---


def test_a_callable_of_a_map() -> None:
    conv, head = L.Conv2D(3, 3, activation="relu", name="maps"), L.Conv2D(2, 1, name="mask")
    model = keras.Sequential([keras.Input((8, 7, 2)), conv, head])
    explained = layercam(model, target=lambda masks: tf.reduce_mean(masks[..., 1], (1, 2)))
    out = explained(X)
    assert list(out) == ["predictions", "heatmap_maps"]
    a = conv(X).numpy()
    g = np.broadcast_to(head.kernel.numpy()[0, 0, :, 1], a.shape) / (6 * 5)
    assert_close(out["heatmap_maps"], oracle_gradient.heatmap(a, g, "layercam", (8, 7)))


@pytest.mark.parametrize(
    ("wrong", "received"),
    [
        (lambda y: y, r"\(None, 4\) of type float32"),
        (tf.reduce_mean, r"\(\) of type float32"),
        (lambda y: tf.argmax(y, -1), r"\(None,\) of type int64"),
        (lambda y: 1.0, "float"),
        (lambda y: [y[:, 0]], "list"),
        (lambda y: None, "NoneType"),
    ],
)
def test_what_a_callable_must_return(model: Any, wrong: Any, received: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        layercam(model, target=wrong)
    message = str(caught.value)
    assert message.startswith("`target` must return one float score for each image, (B,)")
    assert f"Received: {received.replace(chr(92), '')}. Reduce all axes" in message


# --- outputs ---


@pytest.fixture(scope="module")
def two_outputs() -> Any:
    image = keras.Input((8, 7, 2))
    features = L.Flatten()(L.Conv2D(3, 3, activation="relu", name="maps")(image))
    outputs = [L.Dense(3, activation="softmax", name="animal")(features), L.Dense(5, name="color")(features)]
    return keras.Model(image, outputs)


@pytest.mark.parametrize(("output", "classes"), [("animal", 3), ("color", 5)])
def test_output_names_what_is_explained(two_outputs: Any, output: str, classes: int) -> None:
    out = layercam(two_outputs, output=output)(X)
    assert list(out) == ["animal", "color", "explained_class", "heatmap_maps"]
    np.testing.assert_array_equal(out["explained_class"], tf.argmax(out[output], -1))
    with pytest.raises(InvalidArgumentError, match=f"within the model's {classes} classes"):
        layercam(two_outputs, output=output, target=classes)


def test_an_output_must_be_named_where_there_are_several(two_outputs: Any) -> None:
    allowed = r"`output` must be one of (the model's outputs )?'animal', 'color'\. "
    with pytest.raises(InvalidArgumentError, match=allowed + r"Received: None\. Name the one to explain\."):
        layercam(two_outputs)
    with pytest.raises(InvalidArgumentError, match=allowed + r"Received: 'color'\. Did you mean 'color'\?"):
        layercam(two_outputs, output="color")
    with pytest.raises(InvalidArgumentError, match=r"`output` must be one of 'predictions'\. Received: 'animal'"):
        layercam(classifier(L.Dense(2)), output="animal")


def test_the_only_output_may_be_named(model: Any) -> None:
    assert list(layercam(model, output="predictions")(X)) == list(layercam(model)(X))


# --- what no target is ---

KINDS = r"`target` must be 'predicted', 'input', 'top<n>' such as 'top3', a class index, a list of .*, or a callable"
RANGE = r"`target` must be within the model's 4 classes, 0 to 3\. Received: "


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("best", KINDS + r".*Received: 'best'"),
        ("top", KINDS),
        ("top0", KINDS),
        ("top-1", KINDS),
        ("top2.5", KINDS),
        ("top²", KINDS),
        ("", KINDS),
        (None, KINDS + r".*Received: None"),
        (-1, KINDS + r".*Received: -1"),
        (True, KINDS + r".*Received: True"),
        (2.0, KINDS + r".*Received: 2\.0"),
        ([], KINDS + r".*Received: \[\]"),
        ([1, 1], KINDS + r".*Received: \[1, 1\]"),
        ([0, -1], KINDS),
        ([0, True], KINDS),
        (["top1"], KINDS),
        (np.array([[1]]), KINDS),
        (np.array([0.5]), KINDS),
        ({0: 1}, KINDS),
        (4, RANGE + "4"),
        ([0, 9], RANGE + r"\(0, 9\)"),
        ("top5", RANGE + "'top5'"),
    ],
)
def test_what_no_target_is(model: Any, target: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        layercam(model, target=target)


def test_targets_have_one_form() -> None:
    assert check_target([np.int32(2), 0]) == (2, 0)
    assert check_target(np.int64(3)) == 3
    assert type(check_target(np.int64(3))) is int


# --- saturation ---


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("method", ["gradcam", "layercam", "gradcam++", "reciprocam", "ablationcam"])
def test_a_saturated_head_gives_a_map(activation: str, method: str) -> None:
    keras.utils.set_random_seed(2)
    model = classifier(L.Dense(4, activation=activation, name="head"))
    kernel = model.get_layer("head").kernel
    kernel.assign(kernel * 1000.0)
    kernel[:, 1].assign(kernel[:, 1] + 500.0)
    out = vc.attach(model, "maps", method=method, target=1, normalize="max")(X)
    np.testing.assert_array_equal(out["predictions"][:, 1], [1.0] * 6)
    heatmap = out["heatmap_maps"].numpy()
    assert np.isfinite(heatmap).all()
    assert (heatmap.max((1, 2)) == 1).all()
