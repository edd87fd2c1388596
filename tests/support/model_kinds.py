"""Small models of every kind that `attach` must handle, each with the truth about its layers.

A kind gives the model, a batch of inputs and, for every tap expected under the preset ``"conv"``, its key, the
feature maps that the layer really returns for that batch (channels last, computed layer by layer, without any of
the package's code), and the size of the heatmap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L  # noqa: N812


@dataclass
class Kind:
    model: Any
    inputs: Any
    truth: dict[str, np.ndarray]
    size: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)


KINDS: dict[str, Callable[[], Kind]] = {}


def kind(function: Callable[[], Kind]) -> Callable[[], Kind]:
    KINDS[function.__name__] = function
    return function


def images(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def chain(x: Any, *steps: Any) -> list[np.ndarray]:
    """The output of each step, one fed into the next."""
    outputs = []
    for step in steps:
        x = step(x)
        outputs.append(np.asarray(tf.cast(x, tf.float32)))
    return outputs


def small_cnn_layers() -> list[Any]:
    return [
        L.Conv2D(6, 3, padding="same", activation="relu", name="conv_a"),
        L.MaxPooling2D(name="pool"),
        L.Conv2D(5, 3, name="conv_b"),
        L.Flatten(name="flatten"),
        L.Dense(4, activation="softmax", name="probabilities"),
    ]


def small_cnn_truth(layers: list[Any], x: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    return dict(zip([f"heatmap_{prefix}{n}" for n in ("conv_a", "pool", "conv_b")], chain(x, *layers[:3]), strict=True))


@kind
def sequential_built() -> Kind:
    layers = small_cnn_layers()
    x = images(3, 12, 12, 2)
    return Kind(keras.Sequential([keras.Input((12, 12, 2)), *layers]), x, small_cnn_truth_later(layers, x), (12, 12))


def small_cnn_truth_later(layers: list[Any], x: np.ndarray, prefix: str = "") -> Any:
    """Truth that is computed when it is asked for: running a layer of an unbuilt model would build it."""
    return lambda: small_cnn_truth(layers, x, prefix)


@kind
def sequential_not_built() -> Kind:
    layers = small_cnn_layers()
    x = images(3, 12, 12, 2)
    return Kind(keras.Sequential(layers), x, small_cnn_truth_later(layers, x), (12, 12))


@kind
def sequential_not_built_with_input_shape() -> Kind:
    layers = small_cnn_layers()
    x = images(3, 12, 12, 2)
    truth = small_cnn_truth_later(layers, x)
    return Kind(keras.Sequential(layers), x, truth, (12, 12), {"input_shape": (12, 12, 2)})


@kind
def functional() -> Kind:
    conv, branch, add = L.Conv2D(4, 3, padding="same", name="conv"), L.Conv2D(4, 1, name="branch"), L.Add()
    image = keras.Input((10, 14, 3))
    out = L.Dense(2)(L.GlobalAveragePooling2D()(add([conv(image), branch(image)])))
    x = images(3, 10, 14, 3)
    truth = {"heatmap_conv": conv(x).numpy(), "heatmap_branch": branch(x).numpy()}
    return Kind(keras.Model(image, out), x, truth, (10, 14))


def backbone(name: str = "backbone") -> Any:
    image = keras.Input((12, 12, 2))
    x = L.Conv2D(4, 3, strides=2, padding="same", name="inner_conv")(image)
    inner = keras.Sequential([keras.Input((6, 6, 4)), L.Conv2D(3, 3, name="deep_conv")], name="deep")
    return keras.Model(image, inner(L.ReLU(name="relu")(x)), name=name)


@kind
def nested_functional() -> Kind:
    base = backbone()
    image = keras.Input((12, 12, 2))
    out = L.Dense(3)(L.Flatten()(base(image)))
    x = images(2, 12, 12, 2)
    first, _, deep = chain(x, base.get_layer("inner_conv"), base.get_layer("relu"), base.get_layer("deep").layers[0])
    truth = {"heatmap_backbone_inner_conv": first, "heatmap_backbone_deep_deep_conv": deep}
    return Kind(keras.Model(image, out), x, truth, (12, 12))


@kind
def nested_sequential() -> Kind:
    base = backbone()
    model = keras.Sequential([keras.Input((12, 12, 2)), base, L.Flatten(), L.Dense(3)])
    x = images(2, 12, 12, 2)
    first, _, deep = chain(x, base.get_layer("inner_conv"), base.get_layer("relu"), base.get_layer("deep").layers[0])
    truth = {"heatmap_backbone_inner_conv": first, "heatmap_backbone_deep_deep_conv": deep}
    return Kind(model, x, truth, (12, 12))


@kind
def shared_layer() -> Kind:
    conv = L.Conv2D(2, 3, padding="same", name="shared")
    image = keras.Input((8, 8, 2))
    once = conv(image)
    twice = conv(once)
    x = images(2, 8, 8, 2)
    first, second = chain(x, conv, conv)
    model = keras.Model(image, L.GlobalMaxPooling2D()(twice))
    return Kind(model, x, {"heatmap_shared": first, "heatmap_shared_2": second}, (8, 8))


@kind
def siamese_two_inputs() -> Kind:
    base = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(3, 3, name="conv"), L.Flatten()], name="twin")
    left, right = keras.Input((8, 8, 1), name="left"), keras.Input((8, 8, 1), name="right")
    model = keras.Model([left, right], L.Subtract()([base(left), base(right)]))
    x = [images(2, 8, 8, 1), images(2, 8, 8, 1, seed=1)]
    conv = base.layers[0]
    truth = {"heatmap_twin_conv": conv(x[0]).numpy(), "heatmap_twin_conv_2": conv(x[1]).numpy()}
    return Kind(model, x, truth, (8, 8))


@kind
def inputs_of_two_kinds() -> Kind:
    meta, image = keras.Input((5,), name="meta"), keras.Input((9, 7, 1), name="image")
    conv = L.Conv2D(3, 3, name="conv")
    joined = L.Concatenate()([L.Dense(4)(meta), L.GlobalAveragePooling2D()(conv(image))])
    x = [images(3, 5), images(3, 9, 7, 1)]
    return Kind(keras.Model([meta, image], L.Dense(1)(joined)), x, {"heatmap_conv": conv(x[1]).numpy()}, (9, 7))


@kind
def dict_inputs() -> Kind:
    inputs = {"zebra": keras.Input((9, 7, 1), name="zebra"), "apple": keras.Input((5,), name="apple")}
    conv = L.Conv2D(3, 3, name="conv")
    joined = L.Concatenate()([L.Dense(4)(inputs["apple"]), L.GlobalAveragePooling2D()(conv(inputs["zebra"]))])
    x = {"zebra": images(3, 9, 7, 1), "apple": images(3, 5)}
    return Kind(keras.Model(inputs, L.Dense(1)(joined)), x, {"heatmap_conv": conv(x["zebra"]).numpy()}, (9, 7))


@kind
def several_outputs() -> Kind:
    image = keras.Input((8, 8, 1))
    conv = L.Conv2D(3, 3, name="conv")
    features = L.Flatten()(conv(image))
    outputs = [L.Dense(2, name="label")(features), L.Dense(4, name="box")(features)]
    x = images(3, 8, 8, 1)
    return Kind(keras.Model(image, outputs), x, {"heatmap_conv": conv(x).numpy()}, (8, 8))


@kind
def dict_outputs() -> Kind:
    image = keras.Input((8, 8, 1))
    conv = L.Conv2D(3, 3, name="conv")
    features = L.Flatten()(conv(image))
    outputs = {"label": L.Dense(2)(features), "box": L.Dense(4)(features)}
    x = images(3, 8, 8, 1)
    return Kind(keras.Model(image, outputs), x, {"heatmap_conv": conv(x).numpy()}, (8, 8))


@keras.saving.register_keras_serializable(package="model_kinds")
class Block(keras.layers.Layer):
    """A composite layer: convolutions inside of a layer that is no model."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv = L.Conv2D(3, 3, padding="same", name="block_conv")

    def build(self, shape: Any) -> None:
        self.conv.build(shape)
        self.built = True

    def call(self, x: Any) -> Any:
        return tf.nn.relu(self.conv(x))


@keras.saving.register_keras_serializable(package="model_kinds")
class Subclassed(keras.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = Block(name="block")
        self.conv = L.Conv2D(4, 3, strides=2, name="conv")
        self.head = L.Dense(3, name="head")

    def call(self, x: Any, training: Any = None) -> Any:
        return self.head(keras.ops.mean(self.conv(self.block(x)), axis=(1, 2)))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


@keras.saving.register_keras_serializable(package="model_kinds")
class Compiled(Subclassed):
    @tf.function
    def call(self, x: Any, training: Any = None) -> Any:
        features = self.conv(self.block(x))
        if tf.reduce_sum(features) > 1e9:  # a branch that only AutoGraph makes a graph of
            features = features * 0.0
        return self.head(keras.ops.mean(features, axis=(1, 2)))


def subclassed_truth(model: Any, x: np.ndarray) -> Any:
    def truth() -> dict[str, np.ndarray]:
        inner = model.block.conv(x)
        return {
            "heatmap_block_block_conv": inner.numpy(),
            "heatmap_conv": model.conv(tf.nn.relu(inner)).numpy(),
        }

    return truth


@kind
def subclassed_called_before() -> Kind:
    model, x = Subclassed(), images(3, 9, 11, 2)
    model(x)
    return Kind(model, x, subclassed_truth(model, x), (9, 11))


@kind
def subclassed_never_called() -> Kind:
    model, x = Subclassed(), images(3, 9, 11, 2)
    return Kind(model, x, subclassed_truth(model, x), (9, 11))


@kind
def subclassed_with_tf_function() -> Kind:
    model, x = Compiled(), images(3, 9, 11, 2)
    model(x)
    return Kind(model, x, subclassed_truth(model, x), (9, 11))


@kind
def unknown_height_and_width() -> Kind:
    conv = L.Conv2D(4, 3, strides=2, name="conv")
    image = keras.Input((None, None, 2))
    x = images(2, 15, 22, 2)
    model = keras.Model(image, L.GlobalAveragePooling2D()(conv(image)))
    return Kind(model, x, {"heatmap_conv": conv(x).numpy()}, (15, 22))


@kind
def time_distributed() -> Kind:
    conv = L.Conv2D(4, 3, name="conv")
    clip = keras.Input((5, 9, 9, 1))
    model = keras.Model(clip, L.GlobalAveragePooling3D()(L.TimeDistributed(conv, name="every_frame")(clip)))
    x = images(2, 5, 9, 9, 1)
    truth = np.stack([conv(x[:, t]).numpy() for t in range(5)], 1)
    return Kind(model, x, {"heatmap_every_frame_conv": truth}, (9, 9))


@kind
def time_distributed_model() -> Kind:
    frame_model = keras.Sequential([keras.Input((9, 9, 1)), *small_cnn_layers()[:4]], name="frame_model")
    clip = keras.Input((3, 9, 9, 1))
    model = keras.Model(clip, L.LSTM(4)(L.TimeDistributed(frame_model, name="frames")(clip)))
    x = images(2, 3, 9, 9, 1)
    steps = [small_cnn_truth(frame_model.layers, x[:, t], "frames_frame_model_") for t in range(3)]
    return Kind(model, x, {key: np.stack([s[key] for s in steps], 1) for key in steps[0]}, (9, 9))


def _mixed(policy: str) -> Kind:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layers = small_cnn_layers()
        model = keras.Sequential([keras.Input((12, 12, 2)), *layers])
    finally:
        keras.config.set_dtype_policy(before)
    x = images(3, 12, 12, 2)
    return Kind(model, x, small_cnn_truth(layers, x), (12, 12))


@kind
def mixed_float16() -> Kind:
    return _mixed("mixed_float16")


@kind
def mixed_bfloat16() -> Kind:
    return _mixed("mixed_bfloat16")


@kind
def layers_larger_than_the_input() -> Kind:
    image = keras.Input((6, 5, 3))
    up, out = L.Conv2DTranspose(4, 3, strides=3, name="up"), L.Conv2D(1, 3, padding="same", name="out")
    x = images(2, 6, 5, 3)
    truth = dict(zip(["heatmap_up", "heatmap_out"], chain(x, up, out), strict=True))
    return Kind(keras.Model(image, out(up(image))), x, truth, (6, 5))


@kind
def one_dimensional() -> Kind:
    signal = keras.Input((40, 2))
    conv, pool = L.Conv1D(5, 7, strides=2, name="conv"), L.AveragePooling1D(2, name="pool")
    x = images(3, 40, 2)
    truth = dict(zip(["heatmap_conv", "heatmap_pool"], chain(x, conv, pool), strict=True))
    return Kind(keras.Model(signal, L.GlobalMaxPooling1D()(pool(conv(signal)))), x, truth, (40,))


@kind
def three_dimensional() -> Kind:
    volume = keras.Input((6, 8, 10, 1))
    conv, pool = L.Conv3D(3, 3, name="conv"), L.MaxPooling3D(name="pool")
    x = images(2, 6, 8, 10, 1)
    truth = dict(zip(["heatmap_conv", "heatmap_pool"], chain(x, conv, pool), strict=True))
    return Kind(keras.Model(volume, L.Flatten()(pool(conv(volume)))), x, truth, (6, 8, 10))


@kind
def preprocessing_inside() -> Kind:
    steps = [L.Rescaling(1 / 127.5, offset=-1.0), L.Resizing(16, 16), L.Conv2D(4, 3, name="conv")]
    image = keras.Input((20, 24, 3), dtype="uint8")
    out = image
    for step in steps:
        out = step(out)
    x = np.random.default_rng(0).integers(0, 256, (2, 20, 24, 3)).astype("uint8")
    model = keras.Model(image, L.GlobalAveragePooling2D()(out))
    return Kind(model, x, {"heatmap_conv": chain(x, *steps)[-1]}, (20, 24))


@kind
def dropout_and_batch_normalization() -> Kind:
    conv, norm = L.Conv2D(4, 3, name="conv"), L.BatchNormalization(name="norm")
    image = keras.Input((9, 9, 2))
    second = L.SeparableConv2D(3, 3, name="separable")
    out = L.Dense(2)(L.Flatten()(second(L.Dropout(0.5)(norm(conv(image))))))
    x = images(3, 9, 9, 2)
    norm.moving_mean.assign(np.arange(4) / 4.0)
    first, _, last = chain(x, conv, lambda t: norm(t, training=False), second)
    return Kind(keras.Model(image, out), x, {"heatmap_conv": first, "heatmap_separable": last}, (9, 9))


@kind
def channels_first() -> Kind:
    conv, pool = L.Conv2D(4, 3, data_format="channels_first", name="conv"), L.ReLU(name="relu")
    image = keras.Input((2, 9, 13))
    last = L.MaxPooling2D(data_format="channels_first", name="pool")
    x = images(2, 2, 9, 13)
    first, _, pooled = chain(x, conv, pool, last)
    model = keras.Model(image, L.Flatten()(last(pool(conv(image)))))
    truth = {"heatmap_conv": np.moveaxis(first, 1, -1), "heatmap_pool": np.moveaxis(pooled, 1, -1)}
    return Kind(model, x, truth, (9, 13))


@kind
def gray_images_without_channels() -> Kind:
    conv = L.Conv2D(4, 3, name="conv")
    image = keras.Input((9, 13))
    x = images(2, 9, 13)
    model = keras.Model(image, L.Flatten()(conv(L.Reshape((9, 13, 1))(image))))
    return Kind(model, x, {"heatmap_conv": conv(x[..., None]).numpy()}, (9, 13))


def random_images(count: int, height: int, width: int, channels: int) -> np.ndarray:
    """Soft patches of random color: unlike those of plain noise, no two such images look alike to a CNN."""
    patches = np.random.default_rng(0).random((count, 7, 7, channels), dtype=np.float32)
    return tf.image.resize(patches, (height, width)).numpy()
