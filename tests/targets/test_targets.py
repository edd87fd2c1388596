"""Every way to say which class is explained, end to end."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.linear_classifier import X, classifier, layercam, truth
from support.model_kinds import images
from support.oracle import assert_close

import visualcnn_tf as vc
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError

# --- classes ---


@pytest.fixture(scope="module")
def model() -> Any:
    keras.utils.set_random_seed(2)
    return classifier(L.Dense(4, activation="softmax", name="head"))


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
        (np.float32(3), r"shape \(6,\) of type float32"),
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
    with pytest.raises(InvalidArgumentError, match=allowed + r"Received: 'colour'\. Did you mean 'color'\?"):
        layercam(two_outputs, output="colour")
    with pytest.raises(InvalidArgumentError, match=r"`output` must be one of 'predictions'\. Received: 'animal'"):
        layercam(classifier(L.Dense(2)), output="animal")


def test_the_only_output_may_be_named(model: Any) -> None:
    assert list(layercam(model, output="predictions")(X)) == list(layercam(model)(X))


# --- saturation ---


@pytest.mark.sweep(cases=4)
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
