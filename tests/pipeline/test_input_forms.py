"""Inputs as the model takes them: texts, scalars, data sets of unknown rank, class indices in every form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.errors import IncompatibleModelError, InputShapeError, InvalidTypeError, NotBuiltError

RNG = np.random.default_rng(0)
PHOTOS = RNG.random((3, 16, 16, 3)).astype("float32")
pytestmark = [
    pytest.mark.filterwarnings("ignore::visualcnn_tf.errors.SpatialAxesLostWarning"),
    pytest.mark.filterwarnings("ignore:Your input ran out of data"),  # Keras's, of each set of unknown length
]
TEXTS = np.array(["a bird", "red car", "a car"])


def assert_same(got: dict[str, Any], want: dict[str, Any], tolerance: float = 1e-5) -> None:
    assert set(got) == set(want)
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, atol=tolerance, err_msg=name)


# Texts ------------------------------------------------------------------------------------------------------------


def words() -> keras.layers.Layer:
    vectorize = L.TextVectorization(20, output_sequence_length=6)
    vectorize.adapt(["a red car", "a blue bird"])
    return vectorize


def photo_and_text() -> tuple[keras.Model, keras.Model]:
    """A model of a photo and a text, and its twin that takes the numbers of the words."""
    keras.utils.set_random_seed(0)
    vectorize = words()
    photo, text = keras.Input((16, 16, 3), name="photo"), keras.Input((), dtype="string", name="text")
    numbers = keras.Input((6,), dtype="int64", name="numbers")
    conv, embed, head = L.Conv2D(4, 3, activation="relu", name="conv"), L.Embedding(20, 4), L.Dense(2)

    def answer(tokens: Any) -> Any:
        both = [L.GlobalAveragePooling2D()(conv(photo)), L.GlobalAveragePooling1D()(embed(tokens))]
        return L.Softmax()(head(L.Concatenate()(both)))

    return keras.Model([photo, text], answer(vectorize(text))), keras.Model([photo, numbers], answer(numbers))


@pytest.mark.slow
def test_a_text_beside_a_photo(tmp_path: Path) -> None:
    model, twin = photo_and_text()
    explained, want_of = vc.attach(model, "conv", method="gradcam"), vc.attach(twin, "conv", method="gradcam")
    want = want_of.predict([PHOTOS, np.array(words()(TEXTS))], verbose=0)
    assert np.abs(want["heatmap_conv"]).max() > 0
    inputs = {"photo": PHOTOS, "text": TEXTS}
    tensors = {"photo": tf.constant(PHOTOS), "text": tf.constant(TEXTS)}
    for given in (inputs, tensors, [PHOTOS, TEXTS.astype(object)], [PHOTOS, TEXTS.astype("S")]):
        assert_same(explained.predict(given, verbose=0), want)
    assert_same(explained(tensors), want)
    assert_same(tf.function(lambda x: explained(x))(tensors), want)
    data = tf.data.Dataset.from_tensor_slices(tensors).batch(2)
    assert_same(explained.predict(data, verbose=0), want)
    assert explained({"photo": PHOTOS[:0], "text": TEXTS[:0]})["heatmap_conv"].shape == (0, 16, 16)
    folder = vc.export_saved_model(explained, tmp_path / "m", representative_data=inputs, warmup=False)
    served = tf.saved_model.load(str(folder)).signatures["serving_default"](**tensors)
    assert_same(served, want)
    vc.export_saved_model(explained, tmp_path / "noise", warmup=False)


def test_a_text_alone_without_and_with_a_vocabulary() -> None:
    keras.utils.set_random_seed(0)
    vectorize, rest = words(), [L.Embedding(20, 4), L.Conv1D(3, 2, name="conv"), L.GlobalMaxPooling1D(), L.Dense(2)]
    text = keras.Input((), dtype="string")
    model = keras.Model(text, keras.Sequential(rest)(vectorize(text)))
    explained = vc.attach(model, "*/conv", method="gradcam", size=None)
    tokens = np.array(vectorize(TEXTS))
    want = vc.attach(model.layers[-1], "conv", method="gradcam", size=None).predict(tokens, verbose=0)
    for given in (TEXTS, TEXTS.astype(object), tf.constant(TEXTS)):
        got = explained.predict(given, verbose=0)
        np.testing.assert_allclose(got["predictions"], want["predictions"], atol=1e-5)
        np.testing.assert_allclose([*got.values()][-1], want["heatmap_conv"], atol=1e-5)


class Decoder(keras.Model):
    """Takes the bytes of PNG files."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = L.Conv2D(3, 3, name="conv"), L.Dense(2)

    def call(self, inputs: Any) -> Any:
        decode = lambda one: tf.ensure_shape(tf.io.decode_png(one, channels=3), (16, 16, 3))  # noqa: E731
        images = tf.map_fn(decode, inputs, fn_output_signature=tf.uint8)
        return self.head(tf.reduce_mean(self.conv(tf.cast(images, tf.float32) / 255), [1, 2]))


@pytest.mark.parametrize("is_built", [False, True])
def test_a_subclassed_model_of_bytes(is_built: bool) -> None:
    pixels = np.round(255 * PHOTOS).astype(np.uint8)
    files = np.array([tf.io.encode_png(one).numpy() for one in pixels], object)
    model = Decoder()
    if is_built:
        model(tf.constant(files))
    explained = vc.attach(model, "conv", size=(16, 16))
    got = explained.predict(files, verbose=0)
    maps = np.asarray(model.conv(pixels / np.float32(255)), np.float64)
    fused = np.abs(maps - maps.mean((1, 2), keepdims=True)).mean(-1)
    raw = vc.attach(model, "conv", size=None, normalize=None)(tf.constant(files))["heatmap_conv"]
    np.testing.assert_allclose(raw, fused, atol=1e-5)
    np.testing.assert_allclose(got["predictions"], model(tf.constant(files)), atol=1e-5)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"photo": PHOTOS.astype(str), "text": TEXTS}, "arrays or tensors of numbers for the input 'photo'"),
        ({"photo": PHOTOS, "text": np.ones(3)}, "`inputs` must be texts for the input 'text'. Received: ndarray of"),
        ({"photo": PHOTOS, "text": "a bird"}, "Received: str. Read and decode files first; texts for a model that"),
        ("a bird", "Received: str. Read and decode files first"),
    ],
)
def test_texts_and_numbers_that_are_mixed_up(inputs: Any, message: str) -> None:
    explained = vc.attach(photo_and_text()[0], "conv")
    for call in (explained, explained.predict):
        with pytest.raises(InvalidTypeError, match=message):
            call(inputs)


# Ranks ------------------------------------------------------------------------------------------------------------


def small_cnn(*shape: int | None) -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input(shape, name="image")
    maps = L.Conv2D(4, 3, activation="relu", name="conv")(image)
    return keras.Model(image, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(maps)))


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("shape", [(16, 16, 3), (None, None, 3)])
@pytest.mark.parametrize("method", ["deviation", "gradcam"])
def test_a_data_set_of_unknown_rank(shape: Any, method: str) -> None:
    explained = vc.attach(small_cnn(*shape), "conv", method=method)
    want = explained.predict(PHOTOS, verbose=0)
    data = tf.data.Dataset.from_generator(lambda: iter([PHOTOS[:2], PHOTOS[2:]]), output_types=tf.float32)
    assert data.element_spec.shape.rank is None
    assert_same(explained.predict(data, verbose=0), want)
    labeled = tf.data.Dataset.from_generator(lambda: iter([(PHOTOS, [1, 2, 0])]), output_types=(tf.float32, tf.int32))
    assert_same(explained.predict(labeled, verbose=0), want)


def test_a_data_set_of_unknown_rank_of_several_inputs_and_a_class_index() -> None:
    model = photo_and_scalar()
    explained = vc.attach(model, "conv", method="gradcam", target="input")
    inputs = {"photo": PHOTOS, "age": np.float32([1, 2, 3]), "class_index": np.int32([1, 0, -1])}
    types = {"photo": tf.float32, "age": tf.float32, "class_index": tf.int32}
    data = tf.data.Dataset.from_generator(lambda: iter([inputs]), output_types=types)
    assert_same(explained.predict(data, verbose=0), explained.predict(inputs, verbose=0))


def test_a_data_set_of_unknown_rank_does_not_describe_a_model() -> None:
    model = keras.Sequential([L.Conv2D(2, 3, name="conv")])
    data = tf.data.Dataset.from_generator(lambda: iter([PHOTOS]), output_types=tf.float32)
    with pytest.raises(NotBuiltError, match=r"don't tell their shapes. Call it on a batch of arrays once"):
        vc.attach(model, "conv").predict(data, verbose=0)


def photo_and_scalar() -> keras.Model:
    keras.utils.set_random_seed(0)
    photo, age = keras.Input((16, 16, 3), name="photo"), keras.Input((), name="age")
    pooled = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(photo))
    return keras.Model([photo, age], L.Dense(3)(L.Concatenate()([pooled, L.Reshape((1,))(age)])))


def photo_and_vector() -> keras.Model:
    """The twin of the model above that takes a vector of one number."""
    keras.utils.set_random_seed(0)
    photo, age = keras.Input((16, 16, 3), name="photo"), keras.Input((1,), name="age")
    pooled = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(photo))
    return keras.Model([photo, age], L.Dense(3)(L.Concatenate()([pooled, age])))


@pytest.mark.slow
@pytest.mark.parametrize("method", ["deviation", "gradcam", "scorecam", "ablationcam"])
def test_a_scalar_for_each_photo(method: str, tmp_path: Path) -> None:
    ages = np.float32([1, 2, 3])
    twin = vc.attach(photo_and_vector(), "conv", method=method)
    want = twin.predict([PHOTOS, ages[:, np.newaxis]], verbose=0)
    explained = vc.attach(photo_and_scalar(), "conv", method=method)
    for given in (
        [PHOTOS, ages],
        [PHOTOS, ages[:, np.newaxis]],
        {"age": ages, "photo": PHOTOS},
        tf.data.Dataset.from_tensor_slices({"photo": PHOTOS, "age": ages}).batch(2),
    ):
        assert_same(explained.predict(given, verbose=0), want)
    assert_same(explained({"age": ages, "photo": PHOTOS}), want)
    vc.export_saved_model(explained, tmp_path / "m", representative_data=[PHOTOS, ages], warmup=False)
    vc.export_tflite(explained, tmp_path / "m.tflite", batch_size=1)


def test_a_scalar_of_a_model_that_was_never_built() -> None:
    class Both(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = L.Conv2D(4, 3, name="conv"), L.Dense(2)

        def call(self, inputs: Any) -> Any:
            pooled = tf.reduce_mean(self.conv(inputs["photo"]), [1, 2])
            return self.head(tf.concat([pooled, inputs["age"][:, tf.newaxis]], 1))

    inputs = {"photo": PHOTOS, "age": np.float32([1, 2, 3])}
    for options in ({}, {"input_shape": {"photo": (16, 16, 3), "age": ()}}):
        model = Both()
        explained = vc.attach(model, "conv", method="gradcam", **options)
        got = explained.predict(inputs, verbose=0)
        np.testing.assert_allclose(got["predictions"], model.predict(inputs, verbose=0), atol=1e-5)
        assert got["heatmap_conv"].shape == (3, 16, 16)


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("method", ["deviation", "gradcam", "scorecam"])
def test_gray_images_in_every_rank(method: str) -> None:
    gray = RNG.random((2, 12, 12)).astype("float32")
    explained = vc.attach(small_cnn(12, 12, 1), "conv", method=method, render="overlay", pixels="0..1")
    want = explained.predict(gray[..., np.newaxis], verbose=0)
    for given in (gray, {"image": gray}, [gray]):
        assert_same(explained.predict(given, verbose=0), want)
        assert_same(explained(given), want)


# The class index --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_predict", [pytest.param(True, marks=pytest.mark.slow), False])
def test_the_class_index_in_every_form(is_predict: bool) -> None:
    explained = vc.attach(small_cnn(16, 16, 3), "conv", method="gradcam", target="input", normalize=None)
    look: Callable[[Any], Any] = (lambda x: explained.predict(x, verbose=0)) if is_predict else explained
    of_class = {
        k: vc.attach(explained.model, "conv", method="gradcam", target=k, normalize=None).predict(PHOTOS, verbose=0)
        for k in range(3)
    }
    want = {"image": PHOTOS, "class_index": np.int32([2, 2, 2])}
    assert_same(look(want), of_class[2])
    for index in (2, [2, 2, 2], (2, 2, 2), np.int64(2), np.array(2), np.array([2, 2, 2]), tf.constant(2)):
        for given in ({"image": PHOTOS, "class_index": index}, [PHOTOS, index], (PHOTOS, index)):
            assert_same(look(given), of_class[2])
    mixed = look([PHOTOS, [0, 1, 2]])
    for k in range(3):
        np.testing.assert_allclose(mixed["heatmap_conv"][k], of_class[k]["heatmap_conv"][k], atol=1e-5)
    assert list(mixed["explained_class"]) == [0, 1, 2]
    assert_same(look({"image": PHOTOS, "class_index": -1}), look(PHOTOS))
    assert look([PHOTOS[:0], 2])["heatmap_conv"].shape == (0, 16, 16)
    assert_same(look([PHOTOS[:1], [2]]), {k: v[:1] for k, v in of_class[2].items()})


def test_the_class_index_beside_two_inputs() -> None:
    explained = vc.attach(photo_and_scalar(), "conv", method="gradcam", target="input")
    ages = np.float32([1, 2, 3])
    want = explained.predict({"photo": PHOTOS, "age": ages, "class_index": np.int32([1, 1, 1])}, verbose=0)
    for given in ([PHOTOS, ages, 1], [[PHOTOS, ages], 1], [{"age": ages, "photo": PHOTOS}, [1, 1, 1]]):
        assert_same(explained.predict(given, verbose=0), want)
        assert_same(explained(given), want)


def test_one_class_index_for_a_batch_of_unknown_size() -> None:
    explained = vc.attach(small_cnn(16, 16, 3), "conv", method="gradcam", target="input")
    function = tf.function(
        lambda x: explained({"image": x, "class_index": 1}), input_signature=[tf.TensorSpec((None, 16, 16, 3))]
    )
    assert_same(function(PHOTOS), explained([PHOTOS, 1]))


def test_a_class_index_as_a_keras_input() -> None:
    explained = vc.attach(small_cnn(16, 16, 3), "conv", method="gradcam", target="input")
    image, index = keras.Input((16, 16, 3)), keras.Input((), dtype="int32")
    outer = keras.Model([image, index], explained([image, index]))
    assert_same(
        outer.predict([PHOTOS, np.int32([0, 1, 2])], verbose=0), explained.predict([PHOTOS, [0, 1, 2]], verbose=0)
    )


@pytest.mark.parametrize("index", [1.0, [0, 1], [0.5, 1, 2], [[0, 1, 2]], None, "1", True])
def test_what_is_no_class_index(index: Any) -> None:
    explained = vc.attach(small_cnn(16, 16, 3), "conv", method="gradcam", target="input")
    for call in (explained, explained.predict):
        if index is None:
            assert_same(call({"image": PHOTOS, "class_index": None}), call(PHOTOS))
            continue
        with pytest.raises((InputShapeError, InvalidTypeError)):
            call({"image": PHOTOS, "class_index": index})


def test_a_class_index_at_the_first_call_of_an_unknown_model() -> None:
    explained = vc.attach(keras.Sequential([L.Conv2D(2, 3, name="conv")]), "conv", method="gradcam", target="input")
    with pytest.raises(NotBuiltError, match=r"so 'class_index' can't be told from them. Call it once without"):
        explained({"image": PHOTOS, "class_index": 1})


def test_an_explained_model_is_not_explained_again() -> None:
    model = small_cnn(16, 16, 3)
    explained = vc.attach(model, "conv")
    with pytest.raises(IncompatibleModelError, match=r"already. Attach to the model inside, `explained.model`"):
        vc.attach(explained)
    with pytest.raises(IncompatibleModelError, match=r"explained already"):
        vc.Visualizer(explained)
    again = vc.attach(explained.model, "conv", method="gradcam")
    np.testing.assert_array_equal(again(PHOTOS)["predictions"], explained(PHOTOS)["predictions"])


def test_a_model_that_holds_an_explained_one_is_explained() -> None:
    explained = vc.attach(small_cnn(16, 16, 3), "conv")
    image = keras.Input((16, 16, 3))
    outer = keras.Model(image, explained(image)["predictions"])
    got = vc.attach(outer, "*/conv", method="gradcam").predict(PHOTOS, verbose=0)
    want = vc.attach(explained.model, "conv", method="gradcam").predict(PHOTOS, verbose=0)
    np.testing.assert_allclose([*got.values()][-1], want["heatmap_conv"], atol=1e-5)
