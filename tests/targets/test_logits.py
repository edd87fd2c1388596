"""Finding the logits: behind every way to end a model, and in the arrangement of its output."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support import oracle_gradient
from support.linear_classifier import X, classifier, layercam, truth
from support.model_kinds import images
from support.oracle import assert_close

import visualcnn_tf as vc
from visualcnn_tf import targets
from visualcnn_tf.errors import InvalidArgumentError, ProbabilityWarning
from visualcnn_tf.targets.head import find_head
from visualcnn_tf.targets.logits import find_logits

# --- for every way to end a model ---


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
        scores = targets.get(target).scores(output, class_index)
        found["kind"] = scores.head.kind
        score = tf.gradients(scores.result, x, tf.cast(scores.seed(0), scores.result.dtype))[0]
        twice = scores.of(model(tf.repeat(x, 2, axis=0), training=False), 0, 2)
        return scores.classes, score, twice

    outputs = tf.function(graph, autograph=False)(x)
    return found["kind"], *(each.numpy() for each in outputs)


@pytest.mark.sweep(cases=8)
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

    found, explained, slopes, twice = gradients_and_scores(model, x, "predicted")
    assert found == kind
    np.testing.assert_array_equal(explained[:, 0], classes)
    tolerance = 5e-3 if "float16" in end else 1e-6
    np.testing.assert_allclose(slopes, gradient, atol=tolerance)
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
    allowed = r"`target` must be a callable for an output that is not scores of classes, "
    with pytest.raises(InvalidArgumentError, match=allowed + r".*\(None, 6, 6, 3\) is feature maps"):
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


# --- of selected, clipped and rearranged probabilities ---

#: What follows a softmax or sigmoid of four units, and which of them each unit of the output is.
SELECTIONS: dict[str, tuple[Callable[[Any], Any], list[int]]] = {
    "a slice": (lambda p: p[:, 1:], [1, 2, 3]),
    "a slice with steps": (lambda p: p[:, ::2], [0, 2]),
    "the reverse": (lambda p: p[:, ::-1], [3, 2, 1, 0]),
    "tf.slice": (lambda p: tf.slice(p, [0, 1], [-1, 2]), [1, 2]),
    "gathered": (lambda p: tf.gather(p, [2, 0, 3], axis=1), [2, 0, 3]),
    "gathered twice": (lambda p: tf.gather(tf.gather(p, [3, 1, 2], axis=-1), [2, 0], axis=-1), [2, 3]),
    "clipped": (lambda p: tf.clip_by_value(p, 1e-7, 1 - 1e-7), [0, 1, 2, 3]),
    "clipped by Keras": (lambda p: keras.ops.clip(p, 1e-7, 1 - 1e-7), [0, 1, 2, 3]),
    "bounded below": (lambda p: tf.maximum(1e-7, p), [0, 1, 2, 3]),
    "cast": (lambda p: tf.cast(tf.cast(p, tf.float64), tf.float32), [0, 1, 2, 3]),
    "transposed twice": (lambda p: tf.transpose(tf.gather(tf.transpose(p), [1, 0])), [1, 0]),
    "with an axis more, and less": (lambda p: tf.squeeze(tf.expand_dims(p, 1)[:, :, 1:3], 1), [1, 2]),
    "reshaped": (lambda p: tf.reshape(tf.reshape(p, [-1, 2, 2])[:, 1], [-1, 2]), [2, 3]),
    "all of these": (
        lambda p: tf.clip_by_value(tf.gather(tf.cast(p[:, 1:], tf.float64), [2, 0], axis=1), 1e-9, 1.0),
        [3, 1],
    ),
}


@pytest.mark.sweep(cases=8)
@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_logits_are_selected_as_the_probabilities_are(activation: str, selection: str) -> None:
    keras.utils.set_random_seed(3)
    select, units = SELECTIONS[selection]
    activate = getattr(tf.nn, activation)
    model, x = Subclassed(4, lambda z: select(activate(z))), tf.constant(images(6, 5))
    output = model(x).numpy()
    dense = model.dense
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = tf.gather(dense(x), units, axis=1)
        scores = tf.gather(logits, output.argmax(1), batch_dims=1)
    kind, classes, slopes, twice = gradients_and_scores(model, x, "predicted")
    assert kind == activation
    np.testing.assert_array_equal(classes[:, 0], output.argmax(1))
    np.testing.assert_allclose(slopes, tape.gradient(scores, x), atol=1e-6)
    np.testing.assert_allclose(twice, np.stack([scores, scores], 1), atol=1e-5)

    found = tf.function(lambda x: find_logits(model(x)).tensor)(x)
    np.testing.assert_allclose(found, logits, atol=1e-5)


@pytest.mark.sweep(cases=5)
@pytest.mark.parametrize("selection", SELECTIONS)
def test_a_sure_class_has_its_map(selection: str) -> None:
    select, units = SELECTIONS[selection]
    keras.utils.set_random_seed(2)
    model = classifier(L.Dense(4, activation="softmax", name="head"))
    kernel = model.get_layer("head").kernel
    kernel.assign(kernel * 1000.0)
    selected = keras.Model(model.inputs[0], L.Lambda(select)(model.outputs[0]))
    for k, unit in enumerate(units):
        heatmap = layercam(selected, target=k)(X)["heatmap_maps"]
        assert_close(heatmap, truth(model, X, [unit] * len(X)))


def test_the_softmax_over_the_channels_of_channels_first_masks() -> None:
    keras.utils.set_random_seed(3)
    image = keras.Input((3, 4, 5))
    logits = L.Conv2D(2, 1, data_format="channels_first", name="logits")(image)
    model = keras.Model(image, L.Softmax(axis=1)(logits))
    x = images(2, 3, 4, 5)
    found = tf.function(lambda x: find_logits(model(x)).tensor)(x)
    np.testing.assert_allclose(found, keras.Model(image, logits)(x), atol=1e-6)


# --- probabilities without a logit ---


def two_heads(merge: Callable[[Any, Any], Any], activation: str = "softmax") -> Any:
    image = keras.Input((8, 7, 2))
    features = L.Flatten()(L.Conv2D(5, 3, activation="relu", name="maps")(image))
    heads = [L.Dense(4, activation=activation)(features) for _ in range(2)]
    return keras.Model(image, merge(*heads))


MIXTURES: dict[str, Callable[[], Any]] = {
    "the average of two softmaxes": lambda: two_heads(lambda p, q: L.Average()([p, q])),
    "their product": lambda: two_heads(lambda p, q: p * q),
    "the larger one": lambda: two_heads(lambda p, q: L.Maximum()([p, q])),
    "a weighted sum": lambda: two_heads(lambda p, q: 0.3 * p + 0.7 * q),
    "the logarithm of the average": lambda: two_heads(lambda p, q: keras.ops.log((p + q) / 2.0)),
    "of sigmoids": lambda: two_heads(lambda p, q: (p + q) / 2.0, "sigmoid"),
    "selected": lambda: two_heads(lambda p, q: ((p + q) / 2.0)[:, 1:]),
    "a scaled softmax": lambda: classifier(L.Dense(4, activation="softmax"), L.Rescaling(100.0)),
}


@pytest.mark.parametrize("mixture", MIXTURES)
def test_a_mixture_of_probabilities_is_warned_of(mixture: str) -> None:
    model = MIXTURES[mixture]()
    kind = "Sigmoid" if "sigmoids" in mixture else "Softmax"
    with pytest.warns(ProbabilityWarning) as caught:
        explained = layercam(model, target=1)
    (warning,) = caught
    message = str(warning.message)
    assert message.startswith(f"`output` 'predictions' is a mixture of probabilities (computed from a {kind}), which")
    assert warning.filename.endswith("linear_classifier.py")  # which calls `attach`
    # The probability itself is explained, by TensorFlow's own gradients of it.
    a = tf.constant(keras.Model(model.inputs[0], model.get_layer("maps").output)(X))
    head = keras.Model(model.get_layer("maps").output, model.outputs[0])
    with tf.GradientTape() as tape:
        tape.watch(a)
        score = head(a)[:, 1]
    g = tape.gradient(score, a)
    assert_close(explained(X)["heatmap_maps"], oracle_gradient.heatmap(a, g, "layercam", (8, 7)), 1e-4)


def without_warning(model: Any, **options: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vc.attach(model, "maps", **{"method": "gradcam", **options})


def gated() -> Any:
    """A linear head after squeeze and excitation, whose sigmoid stands on feature maps."""
    image = keras.Input((8, 7, 2))
    maps = L.Conv2D(5, 3, activation="relu", name="maps")(image)
    gate = L.Conv2D(5, 1, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(maps))
    return keras.Model(image, L.Dense(3)(L.GlobalAveragePooling2D()(maps * gate)))


@pytest.mark.parametrize(
    "build",
    [
        lambda: classifier(L.Dense(4)),
        lambda: classifier(L.Dense(4, activation="tanh")),
        lambda: classifier(L.Dense(4, activation="softmax")),
        lambda: classifier(L.Dense(1, activation="sigmoid")),
        lambda: two_heads(lambda p, q: p + q, "linear"),
        gated,
    ],
    ids=["linear", "tanh", "softmax", "sigmoid", "a sum of logits", "gated"],
)
def test_no_warning_where_there_are_logits(build: Callable[[], Any]) -> None:
    without_warning(build())


def test_no_warning_where_no_logit_is_wanted() -> None:
    model = two_heads(lambda p, q: L.Average()([p, q]))
    without_warning(model, method="deviation")
    without_warning(model, target=lambda output: output[:, 1])
    with pytest.warns(ProbabilityWarning, match="'predictions' is a mixture"):
        vc.attach(model, "maps", method="gradcam", target=targets.Score(lambda logits: logits[:, 1], on="logits"))
