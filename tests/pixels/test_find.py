"""What a model takes is found in its graph: which range becomes what first layers usually get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.introspect.find_inputs import model_inputs
from visualcnn_tf.introspect.trace import trace_model
from visualcnn_tf.pixels.find import find_pixels, find_values

L, ops = keras.layers, keras.ops
applications = keras.applications


def head(x: Any) -> Any:
    return L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(3, 3, name="conv")(x)))


def model_of(*before: Callable[[Any], Any], shape: Any = (12, 12, 3), dtype: str = "float32") -> keras.Model:
    image = x = keras.Input(shape, dtype=dtype)
    for step in before:
        x = step(x)
    return keras.Model(image, head(x))


def found(model: keras.Model) -> str | None:
    pixels = find_pixels(trace_model(model, model_inputs(model)))
    return None if pixels is None else pixels.values


@keras.saving.register_keras_serializable(package="test_find")
class Scaled(L.Layer):
    """TensorFlow operations, without any weight."""

    def call(self, x: Any) -> Any:
        return tf.cast(x, tf.float32) / 127.5 - 1


class Whole(keras.Model):
    """Subclassed, its call compiled by ``tf.function``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense = L.Conv2D(2, 3), L.Dense(2)

    @tf.function
    def call(self, x: Any) -> Any:
        return self.dense(tf.reduce_mean(self.conv(x / 255.0), (1, 2)))


def nested(x: Any) -> Any:
    return keras.Sequential([keras.Input((12, 12, 3)), L.Rescaling(1 / 255), L.Conv2D(3, 1)])(x)


def normalization(mean: Any, std: Any) -> L.Layer:
    return L.Normalization(mean=mean, variance=np.square(std))


def mean_image(x: Any) -> Any:
    return (x - tf.constant(np.full((12, 12, 3), 127.5), tf.float32)) / 127.5


def transposed(x: Any) -> Any:
    return ops.transpose(ops.transpose(x, (0, 3, 1, 2)) / 255, (0, 2, 3, 1))


FOUND = {
    "rescaling": ("0..255", L.Rescaling(1 / 255)),
    "rescaling to -1..1": ("0..255", L.Rescaling(1 / 127.5, -1)),
    "rescaling by 256": ("0..255", L.Rescaling(1 / 128, -1)),
    "rescaling from 0..1": ("0..1", L.Rescaling(2, -1)),
    "rescaling from -1..1": ("-1..1", L.Rescaling(0.5, 0.5)),
    "rescaling to 0..255": ("-1..1", L.Rescaling(127.5, 127.5)),
    "centered": ("0..255", L.Rescaling(1, -128)),
    "statistics of photos": ("0..255", normalization([120, 117, 104], [70, 69, 71])),
    "statistics of dark images": ("0..255", normalization(20, 25)),
    "statistics of digits": ("0..1", normalization(0.1307, 0.3081)),
    "statistics from -1..1": ("-1..1", normalization(-0.06, 0.52)),
    "statistics of ImageNet": ("0..1", normalization([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])),
    "negatives": ("0..255", lambda x: 1 - x / 255),
    "clipped": ("0..255", lambda x: ops.clip(x, 0, 255) / 255),
    "a mean image": ("0..255", mean_image),
    "channels first": ("0..255", transposed),
    "a custom layer": ("0..255", Scaled()),
    "a nested model": ("0..255", nested),
    "caffe": ("0..255", applications.vgg16.preprocess_input),
    "tf": ("0..255", applications.mobilenet_v2.preprocess_input),
    "torch": ("0..255", applications.densenet.preprocess_input),
}
UNKNOWN = {
    "nothing": lambda x: x,
    "augmentation": L.RandomFlip(),
    "a rescaling by 1": L.Rescaling(1.0),
    "a normalization that has seen no data": L.Normalization(),
    "batch normalization": L.BatchNormalization(),
    "gamma": lambda x: (x / 255) ** 2.2,
    "each image by itself": lambda x: x - ops.mean(x, (1, 2), keepdims=True),
    "other numbers": L.Rescaling(100, 3),
    "efficientnet's function": applications.efficientnet.preprocess_input,
}

LARGE = [applications.EfficientNetB0, applications.EfficientNetV2S, applications.ConvNeXtTiny]


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found(name: str) -> None:
    values, step = FOUND[name]
    assert found(model_of(step)) == values


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known(name: str) -> None:
    assert found(model_of(UNKNOWN[name])) is None


def test_augmentation_cropping_padding_and_resizing_are_no_obstacles() -> None:
    steps = [L.RandomFlip(), L.Resizing(20, 16), L.CenterCrop(14, 12), L.ZeroPadding2D(2), L.RandomContrast(0.3)]
    assert found(model_of(*steps, L.Rescaling(1 / 255))) == "0..255"
    assert found(model_of(L.Rescaling(1 / 255), *steps, shape=(None, None, 3))) == "0..255"


def test_integers_are_pixels() -> None:
    assert found(model_of(lambda x: ops.cast(x, "float32"), dtype="uint8")) == "0..255"


def test_gray_images() -> None:
    assert found(model_of(L.Rescaling(1 / 255), shape=(12, 12, 1))) == "0..255"


def test_a_compiled_call() -> None:
    model = Whole()
    model(np.zeros((1, 12, 12, 3), np.float32))
    assert found(model) == "0..255"


def test_patches() -> None:
    image = keras.Input((8, 8, 3))
    patches = ops.reshape(applications.vgg16.preprocess_input(image), (-1, 2, 4, 2, 4, 3))
    tokens = ops.reshape(ops.transpose(patches, (0, 1, 3, 2, 4, 5)), (-1, 4, 48))
    assert found(keras.Model(image, L.Dense(2)(tokens))) == "0..255"


def test_films() -> None:
    film = keras.Input((4, 12, 12, 3))
    features = L.TimeDistributed(L.Conv2D(2, 3))(L.Rescaling(1 / 255)(film))
    assert found(keras.Model(film, features)) == "0..255"


def test_several_images_must_agree() -> None:
    photo, other = keras.Input((12, 12, 3)), keras.Input((12, 12, 3))
    one = L.Conv2D(3, 3)(L.Rescaling(1 / 255)(photo))
    for scale, offset, values in ((1 / 255, 0, "0..255"), (2, -1, None)):
        two = L.Conv2D(3, 3)(L.Rescaling(scale, offset)(other))
        assert found(keras.Model([photo, other], [one, two])) == values


def test_a_table_beside_a_photo_is_no_image() -> None:
    photo, table = keras.Input((12, 12, 3)), keras.Input((5,))
    both = L.Concatenate()([head(L.Rescaling(1 / 255)(photo)), L.Dense(2)(table)])
    assert found(keras.Model([photo, table], both)) == "0..255"
    assert found(keras.Model(table, L.Dense(2)(table))) is None


def test_adapted_statistics() -> None:
    rng = np.random.default_rng(0)
    for low, high, values in ((0, 255, "0..255"), (0, 1, "0..1"), (-1, 1, "-1..1")):
        layer = L.Normalization()
        layer.adapt(low + (high - low) * rng.beta(2, 2.5, (16, 12, 12, 3)))
        assert found(model_of(layer)) == values


@pytest.mark.parametrize(
    "build",
    [
        applications.MobileNetV3Small,
        pytest.param(applications.EfficientNetB0, marks=pytest.mark.slow),
        pytest.param(applications.EfficientNetV2S, marks=pytest.mark.slow),
        pytest.param(applications.ConvNeXtTiny, marks=pytest.mark.slow),
    ],
)
def test_architectures_that_preprocess(build: Any) -> None:
    assert found(build(weights=None, input_shape=(64, 64, 3), classes=3)) == "0..255"


# What is given ------------------------------------------------------------------------------------------------------


def test_a_preprocessing_on_top_of_one_is_refused_by_name() -> None:
    model = model_of(L.Rescaling(1 / 255, name="to_unit"))
    twice = r"`pixels` must be '0..255' or left out, because the model preprocesses its images itself by 'to_unit'"
    for pixels in ("0..1", "caffe", "vgg16", applications.mobilenet_v2.preprocess_input, lambda x: x / 255):
        with pytest.raises(InvalidArgumentError, match=twice):
            vc.attach(model, pixels=pixels)
    for pixels in ("0..255", "efficientnet", vc.Pixels(fit="crop"), lambda x: x):
        assert vc.attach(model, pixels=pixels).pixels.scale(np.ones((1, 2, 2, 3))).numpy().max() == 1


def test_statistics_that_fit_two_ranges_leave_the_choice() -> None:
    model = model_of(normalization(0.4, 0.25))
    assert find_values(trace_model(model, model_inputs(model))).values == ("0..1", "-1..1")
    assert vc.attach(model, pixels="-1..1").pixels.values == "-1..1"
    with pytest.raises(InvalidArgumentError, match=r"must be '0..1', '-1..1' or left out"):
        vc.attach(model, pixels="0..255")


@pytest.mark.parametrize(
    ("pixels", "shape", "said"),
    [
        ("torch", (12, 12, 1), "or a function for gray images. Received: 'torch'"),
        (vc.Pixels(size=(12, 12)), (12, 12, 3), "without `size` for a model that takes images of"),
        (lambda x: np.asarray(x), (12, 12, 3), "or a function of TensorFlow operations"),
        (lambda x: x[:, 1:], (12, 12, 3), "a function that returns images of shape"),
        ("0..1", (12, 12, 5), "None for a model that takes no gray or color images"),
        ("0-1", (12, 12, 3), "`pixels` must be one of '0..255'"),
    ],
)
def test_pixels_that_do_not_fit(pixels: Any, shape: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        vc.attach(model_of(shape=shape), pixels=pixels)


# Tasks of keras_hub -------------------------------------------------------------------------------------------------


class Task(keras.Model):
    """Preprocesses in ``predict``, as the tasks of ``keras_hub`` do."""

    def __init__(self, preprocessor: Any) -> None:
        image = keras.Input((12, 12, 3))
        super().__init__(image, head(image))
        self.preprocessor = preprocessor

    def preprocess_samples(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return keras.utils.pack_x_y_sample_weight(self.preprocessor(x), y, sample_weight)


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ("0..1", lambda x: tf.image.resize(x, (12, 12)) / 255),
        ("torch", lambda x: applications.densenet.preprocess_input(tf.image.resize(x, (12, 12)))),
        (None, lambda x: tf.image.resize(x, (12, 12))),
        (None, lambda x: (tf.image.resize(x, (12, 12)) / 255) ** 2.2),
    ],
)
def test_a_task_takes_what_its_preprocessor_makes(values: Any, step: Any) -> None:
    assert found(Task(step)) == values


def test_other_scales_of_a_task() -> None:
    pixels = vc.attach(Task(lambda x: tf.image.resize(x, (12, 12)) / [1.0, 2.0, 3.0] - 5.0)).pixels
    np.testing.assert_allclose(pixels.scale(np.full((1, 1, 1, 3), 60.0))[0, 0, 0], [55, 25, 15], rtol=1e-5)
    np.testing.assert_allclose(pixels.unscale([[[[55.0, 25.0, 15.0]]]]), np.full((1, 1, 1, 3), 60.0), rtol=1e-5)


def test_a_classifier_of_keras_hub() -> None:
    hub = pytest.importorskip("keras_hub")
    backbone = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(32, 32, 3),
    )
    converter = hub.layers.ResNetImageConverter(image_size=(32, 32), scale=1 / 127.5, offset=-1.0)
    preprocessor = hub.models.ResNetImageClassifierPreprocessor(image_converter=converter)
    task = hub.models.ResNetImageClassifier(backbone=backbone, num_classes=3, preprocessor=preprocessor)
    assert vc.attach(task).pixels == vc.Pixels("-1..1", "crop")
    with pytest.raises(InvalidArgumentError, match="preprocesses its images itself by 'preprocessor'"):
        vc.attach(task, pixels="0..255")
