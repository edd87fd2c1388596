"""`explained.predict` predicts what the model's own `predict` does, or refuses before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.errors import IncompatibleModelError, InputShapeError, InvalidTypeError

RAW = np.random.default_rng(0).integers(0, 256, (5, 40, 48, 3)).astype("float32")


class Task(keras.Model):
    """Preprocesses in ``predict``, as the tasks of ``keras_hub`` do."""

    def __init__(self, preprocessor: Any, **kwargs: Any) -> None:
        image = keras.Input((16, 16, 3), name="image")
        maps = L.Conv2D(4, 3, activation="relu", name="conv")(image)
        super().__init__(image, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(maps)), **kwargs)
        self.preprocessor = preprocessor

    def preprocess_samples(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        x = x if self.preprocessor is None else self.preprocessor(x)
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def predict(self, x: Any, batch_size: int | None = None, **kwargs: Any) -> Any:
        if not isinstance(x, tf.data.Dataset):
            x = tf.data.Dataset.from_tensor_slices(x).batch(batch_size or 32)
        return super().predict(x.map(self.preprocess_samples), **kwargs)


def prepare(images: Any) -> Any:
    return tf.image.resize(tf.cast(images, tf.float32), (16, 16), antialias=True) / 255


def task(preprocessor: Any = prepare) -> Task:
    keras.utils.set_random_seed(0)
    return Task(preprocessor)


def assert_same(got: dict[str, Any], want: dict[str, Any]) -> None:
    assert set(got) == set(want)
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, atol=1e-5, err_msg=name)


def test_a_task_preprocesses_in_predict_and_not_in_a_call() -> None:
    model = task()
    explained = vc.attach(model, "conv", method="gradcam")
    want = {name: value.numpy() for name, value in explained(prepare(RAW)).items()}
    np.testing.assert_allclose(want["predictions"], model.predict(RAW, verbose=0), atol=1e-6)
    data = tf.data.Dataset.from_tensor_slices((RAW, np.arange(5))).batch(2)
    for given in (RAW, RAW.astype("uint8"), tf.constant(RAW), list(RAW), data, data.map(lambda x, y: x)):
        assert_same(explained.predict(given, verbose=0), want)
    assert_same(explained.predict(RAW, 2, 0), want)
    assert want["heatmap_conv"].shape == (5, 16, 16)
    assert explained.predict(RAW[:0], verbose=0)["heatmap_conv"].shape == (0, 16, 16)


def test_the_class_index_is_not_preprocessed() -> None:
    explained = vc.attach(task(), "conv", method="gradcam", target="input")
    classes = np.int32([0, 1, 2, 1, -1])
    want = explained({"image": prepare(RAW), "class_index": classes})
    data = tf.data.Dataset.from_tensor_slices({"image": RAW, "class_index": classes}).batch(2)
    for given in ([RAW, classes], {"image": RAW, "class_index": classes}, data):
        assert_same(explained.predict(given, verbose=0), want)
    assert_same(explained.predict([RAW, 1], verbose=0), explained([prepare(RAW), 1]))


def test_a_task_without_a_preprocessor_is_like_any_model() -> None:
    model = task(None)
    explained = vc.attach(model, "conv")
    x = np.asarray(prepare(RAW))
    np.testing.assert_allclose(explained.predict(x, verbose=0)["predictions"], model.predict(x, verbose=0), atol=1e-6)
    with pytest.raises(InputShapeError, match=r"The size differs"):
        explained.predict(RAW, verbose=0)


def test_what_a_task_does_not_take() -> None:
    explained = vc.attach(task(), "conv")
    with pytest.raises(InvalidTypeError, match=r"`x` must be arrays or a `tf.data.Dataset`.* Received: generator"):
        explained.predict((x for x in [RAW]), verbose=0)
    wrong = vc.attach(task(lambda images: images), "conv")
    with pytest.raises(InputShapeError, match=r"Received: \(None, 40, 48, 3\). The size differs"):
        wrong.predict(RAW, verbose=0)


def test_a_loaded_and_an_exported_task(tmp_path: Path) -> None:
    explained = vc.attach(task(), "conv", method="gradcam")
    folder = vc.export_saved_model(explained, tmp_path / "m", warmup=False, representative_data=prepare(RAW))
    served = tf.saved_model.load(str(folder)).signatures["serving_default"](image=prepare(RAW))
    assert_same(served, explained.predict(RAW, verbose=0))


def functional(cls: type[keras.Model]) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    maps = L.Conv2D(4, 3, activation="relu", name="conv")(image)
    return cls(image, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(maps)))


class Scaled(keras.Model):
    def predict_step(self, data: Any) -> Any:
        return self(keras.utils.unpack_x_y_sample_weight(data)[0] / 255.0, training=False)


class Decoded(keras.Model):
    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return super().predict(*args, **kwargs).argmax(-1)


class Twice(keras.Model):
    def make_predict_function(self, force: bool = False) -> Any:
        return super().make_predict_function(force)


@pytest.mark.parametrize(
    ("cls", "name"), [(Scaled, "predict_step"), (Decoded, "predict"), (Twice, "make_predict_function")]
)
def test_a_predict_of_the_models_own_is_refused_before_anything_runs(cls: type[keras.Model], name: str) -> None:
    model = functional(cls)
    explained = vc.attach(model, "conv", method="gradcam")
    x = np.asarray(prepare(RAW))

    def never() -> Any:
        raise AssertionError
        yield

    for given in (x, never()):
        with pytest.raises(IncompatibleModelError, match=rf"must not override '{name}'.*Call `explained\(x\)` on"):
            explained.predict(given, verbose=0)
    np.testing.assert_allclose(explained(x)["predictions"], model(x), atol=1e-6)
    assert vc.Visualizer(model, small_layers=True).heatmap(x[0])[0].shape == (16, 16)


def test_a_predict_that_is_set_on_the_model_is_refused() -> None:
    model = functional(keras.Model)
    explained = vc.attach(model, "conv")
    x = np.asarray(prepare(RAW))
    explained.predict(x, verbose=0)
    model.predict = lambda images: 0
    with pytest.raises(IncompatibleModelError, match=r"must not override 'predict'"):
        explained.predict(x, verbose=0)


def test_overridden_inside_is_no_matter() -> None:
    """A model that holds such a model calls it, and so does its ``predict``."""
    inner = functional(Scaled)
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, inner(image))
    x = np.asarray(prepare(RAW))
    got = vc.attach(model, "*/conv").predict(x, verbose=0)
    np.testing.assert_allclose(got["predictions"], model.predict(x, verbose=0), atol=1e-6)


def test_a_classifier_of_keras_hub() -> None:
    hub = pytest.importorskip("keras_hub").models
    keras.utils.set_random_seed(0)
    backbone = hub.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    converter = pytest.importorskip("keras_hub").layers.ResNetImageConverter(image_size=(32, 32), scale=1 / 255)
    preprocessor = hub.ResNetImageClassifierPreprocessor(image_converter=converter)
    model = hub.ResNetImageClassifier(backbone=backbone, num_classes=5, activation="softmax", preprocessor=preprocessor)
    explained = vc.attach(model, "last", method="gradcam")
    got = explained.predict(RAW, verbose=0)
    np.testing.assert_allclose(got["predictions"], model.predict(RAW, verbose=0), atol=1e-5)
    assert_same(got, explained(preprocessor(RAW)))
    assert [*got.values()][-1].shape == (5, 32, 32)
