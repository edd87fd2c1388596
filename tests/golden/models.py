"""Small models whose weights and inputs are the same at every time, whatever ran before.

Every weight and every input comes from a generator of its own seed, in an order that depends on names alone. The
images are blocks of color with noise over them: of noise alone every image looks the same to a network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as L  # noqa: N812

Input = np.ndarray | dict[str, np.ndarray]
BATCH = 2


def build(name: str) -> keras.Model:
    """Build a model by its name in ``MODELS``, with its fixed weights."""
    builder, seed, _ = MODELS[name]
    model = builder(name)
    rng = np.random.default_rng(seed)
    for weight in sorted(model.weights, key=_own_path):
        weight.assign(_values(_own_path(weight)[-1], tuple(weight.shape), rng))
    return model


def inputs(name: str) -> Input:
    """Make the fixed batch of a model, an array or a dict of them."""
    _, seed, shapes = MODELS[name]
    rng = np.random.default_rng(1000 + seed)
    arrays = {key: _blocks(shape, rng) for key, shape in shapes.items()}
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def _own_path(weight: Any) -> list[str]:
    """The names of the layer and of its weight, without those of the models around."""
    return weight.path.split("/")[-2:]


def _values(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Values of a weight that keep activations of about the same size from layer to layer."""
    if kind.endswith("kernel"):
        # A depthwise kernel sees one channel, the others see all of them.
        fan_in = math.prod(shape[:-2] if kind == "depthwise_kernel" else shape[:-1])
        limit = math.sqrt(6.0 / fan_in)
        return rng.uniform(-limit, limit, shape)
    low, high = {
        "bias": (-0.1, 0.2),
        "gamma": (0.5, 1.5),
        "beta": (-0.3, 0.3),
        "moving_mean": (-0.2, 0.2),
        "moving_variance": (0.4, 1.2),
    }[kind]
    return rng.uniform(low, high, shape)


def _blocks(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A batch in [0, 1]: blocks of four along each spatial axis, and noise."""
    space, channels = shape[:-1], shape[-1]
    coarse = rng.uniform(size=(BATCH, *(-(-n // 4) for n in space), channels))
    for axis, n in enumerate(space, 1):
        coarse = np.take(np.repeat(coarse, 4, axis), range(n), axis)
    return (0.7 * coarse + 0.3 * rng.uniform(size=(BATCH, *shape))).astype(np.float32)


def _plain(name: str) -> keras.Model:
    """A Sequential whose head is flat."""
    return keras.Sequential(
        [
            keras.Input((24, 20, 3), name="image"),
            L.Conv2D(8, 3, padding="same", activation="relu", name="conv_a"),
            L.MaxPooling2D(name="pool_a"),
            L.Conv2D(10, 3, activation="relu", name="conv_b"),
            L.AveragePooling2D(2, name="pool_b"),
            L.Conv2D(6, 3, padding="same", activation="relu", name="conv_c"),
            L.Flatten(name="flatten"),
            L.Dense(5, activation="softmax", name="probabilities"),
        ],
        name=name,
    )


def _residual(name: str) -> keras.Model:
    """Batch normalization, ReLU as layers, a depthwise convolution, a skip connection, global pooling."""
    image = keras.Input((20, 24, 3), name="image")
    x = L.Conv2D(8, 3, padding="same", use_bias=False, name="stem_conv")(image)
    x = L.BatchNormalization(name="stem_bn")(x)
    x = skip = L.ReLU(name="stem_relu")(x)
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="block_depthwise")(x)
    x = L.BatchNormalization(name="block_depthwise_bn")(x)
    x = L.ReLU(name="block_depthwise_relu")(x)
    x = L.Conv2D(8, 1, use_bias=False, name="block_project")(x)
    x = L.BatchNormalization(name="block_project_bn")(x)
    x = L.Add(name="block_add")([skip, x])
    x = L.Conv2D(12, 3, strides=2, padding="same", use_bias=False, name="top_conv")(x)
    x = L.BatchNormalization(name="top_bn")(x)
    x = L.ReLU(name="top_relu")(x)
    x = L.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(image, L.Dense(4, activation="softmax", name="probabilities")(x), name=name)


def _nested(name: str) -> keras.Model:
    """A backbone inside, with a Sequential inside of that, and a softmax layer by itself."""
    pixels = keras.Input((16, 20, 3), name="pixels")
    x = L.Conv2D(8, 3, strides=2, padding="same", name="inner_conv")(pixels)
    x = L.Activation("swish", name="inner_swish")(x)
    deep = keras.Sequential(
        [keras.Input((8, 10, 8), name="maps"), L.SeparableConv2D(10, 3, padding="same", name="deep_separable")],
        name="deep",
    )
    x = L.LeakyReLU(negative_slope=0.1, name="inner_leaky")(deep(x))
    backbone = keras.Model(pixels, x, name="backbone")
    image = keras.Input((16, 20, 3), name="image")
    x = L.Conv2D(6, 3, activation="relu", name="outer_conv")(backbone(image))
    x = L.Dense(4, name="logits")(L.GlobalMaxPooling2D(name="pooled")(x))
    return keras.Model(image, L.Softmax(name="probabilities")(x), name=name)


def _signal(name: str) -> keras.Model:
    """A signal along one axis."""
    return keras.Sequential(
        [
            keras.Input((64, 2), name="signal"),
            L.Conv1D(8, 5, padding="same", activation="relu", name="conv_a"),
            L.MaxPooling1D(name="pool_a"),
            L.Conv1D(6, 5, strides=2, activation="relu", name="conv_b"),
            L.GlobalAveragePooling1D(name="pooled"),
            L.Dense(3, activation="softmax", name="probabilities"),
        ],
        name=name,
    )


def _volume(name: str) -> keras.Model:
    """A volume, classified by logits."""
    return keras.Sequential(
        [
            keras.Input((8, 10, 12, 1), name="volume"),
            L.Conv3D(6, 3, padding="same", activation="relu", name="conv_a"),
            L.MaxPooling3D(name="pool_a"),
            L.Conv3D(5, 3, padding="same", activation="relu", name="conv_b"),
            L.GlobalAveragePooling3D(name="pooled"),
            L.Dense(3, name="logits"),
        ],
        name=name,
    )


def _binary(name: str) -> keras.Model:
    """Grey images, and a single sigmoid unit."""
    return keras.Sequential(
        [
            keras.Input((16, 16, 1), name="image"),
            L.Conv2D(6, 3, padding="same", activation="relu", name="conv_a"),
            L.AveragePooling2D(2, name="pool_a"),
            L.Conv2D(8, 3, activation="relu", name="conv_b"),
            L.GlobalAveragePooling2D(name="pooled"),
            L.Dense(1, activation="sigmoid", name="probability"),
        ],
        name=name,
    )


def _pair(name: str) -> keras.Model:
    """An image with numbers beside it, and two outputs."""
    image, numbers = keras.Input((18, 16, 3), name="image"), keras.Input((5,), name="numbers")
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="conv_a")(image)
    x = L.Conv2D(6, 3, strides=2, activation="relu", name="conv_b")(x)
    x = L.GlobalAveragePooling2D(name="pooled")(x)
    x = L.Concatenate(name="joined")([x, L.Dense(4, activation="tanh", name="hidden")(numbers)])
    label = L.Dense(3, activation="softmax", name="label")(x)
    tags = L.Dense(4, activation="sigmoid", name="tags")(x)
    return keras.Model({"image": image, "numbers": numbers}, {"label": label, "tags": tags}, name=name)


def _clip(name: str) -> keras.Model:
    """Three frames, each through the same layers."""
    clip = keras.Input((3, 12, 16, 3), name="clip")
    conv_a = L.Conv2D(6, 3, padding="same", activation="relu", name="conv_a")
    conv_b = L.Conv2D(5, 3, strides=2, padding="same", activation="relu", name="conv_b")
    x = L.TimeDistributed(conv_a, name="frames_a")(clip)
    x = L.TimeDistributed(conv_b, name="frames_b")(x)
    x = L.GlobalAveragePooling3D(name="pooled")(x)
    return keras.Model(clip, L.Dense(3, activation="softmax", name="probabilities")(x), name=name)


#: By name: builder, seed, and the shapes of the inputs. With these seeds each image of a batch has a class of its own,
#: and no two classes have nearly the same score.
MODELS: dict[str, tuple[Callable[[str], keras.Model], int, dict[str, tuple[int, ...]]]] = {
    "plain": (_plain, 86, {"image": (24, 20, 3)}),
    "residual": (_residual, 354, {"image": (20, 24, 3)}),
    "nested": (_nested, 260, {"image": (16, 20, 3)}),
    "signal": (_signal, 381, {"signal": (64, 2)}),
    "volume": (_volume, 44, {"volume": (8, 10, 12, 1)}),
    "binary": (_binary, 62, {"image": (16, 16, 1)}),
    "pair": (_pair, 230, {"image": (18, 16, 3), "numbers": (5,)}),
    "clip": (_clip, 249, {"clip": (3, 12, 16, 3)}),
}
