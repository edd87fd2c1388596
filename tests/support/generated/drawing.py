"""Draw pieces of models at random: augmentation, convolutions, whole chains."""

from __future__ import annotations

from typing import Any

import keras

from support.generated import steps as S  # noqa: N812
from support.generated.choices import Draw, Map, layer_class
from support.generated.moves import layer_form, move

L = keras.layers

# Preprocessing and augmentation -------------------------------------------------------------------------------------


def augmentation(draw: Draw, at: Map) -> list[S.Step]:
    """Layers that do nothing in inference, or only change the range of values."""
    steps = [_idle(draw, at) for _ in range(draw.number(1, 3))]
    if draw.chance(0.5):
        steps.insert(draw.number(0, len(steps)), _scaled(draw))
    if draw.chance(0.3):
        mean, variance = draw.rng.random(at.channels), 0.5 + draw.rng.random(at.channels)
        layer = L.Normalization(mean=mean.tolist(), variance=variance.tolist(), name=draw.name("standard"))
        layer.build((None, *at.space, at.channels))  # built inside a subclassed model, its mean would be a symbol
        steps.append(S.Standardized(layer, "other"))
    return steps


def _scaled(draw: Draw) -> S.Step:
    return S.Scaled(L.Rescaling(draw.one(2.0, 1 / 0.7), offset=-0.5, name=draw.name("rescale")), "other")


def pixels_scaled(draw: Draw) -> S.Step:
    """What makes floats of integer pixels."""
    return S.Scaled(L.Rescaling(1 / 127.5, offset=-1, name=draw.name("rescale")), "other")


def _idle(draw: Draw, at: Map) -> S.Step:
    name = draw.name("augment")
    anywhere = [L.GaussianNoise(0.3, name=name), L.Dropout(0.4, name=name)]
    if at.rank != 2:
        return S.Idle(draw.one(*anywhere), "other")
    pictures = [
        L.RandomFlip(name=name),
        L.RandomRotation(0.2, name=name),
        L.RandomZoom(0.3, name=name),
        L.RandomTranslation(0.2, 0.2, name=name),
        L.RandomContrast(0.3, value_range=(0, 1), name=name),
    ]
    return S.Idle(draw.one(*pictures, *anywhere), "other")


# Convolutions -------------------------------------------------------------------------------------------------------


def conv(draw: Draw, at: Map, padding: str = "", strides: int = 0, filters: int = 0) -> S.Step:
    """A convolution, possibly with an activation inside."""
    fits = min(at.space) >= 8
    padding = padding or draw.one("same", "same", "valid" if fits else "same")
    strides = strides or draw.one(1, 2 if min(at.space) >= 10 else 1)
    kernel = draw.one(2, 3, 3, 5) if min(at.space) >= 8 else 3
    at.space = tuple(-(-(n if padding == "same" else n - kernel + 1) // strides) for n in at.space)
    at.channels = filters or draw.number(3, 6)
    kind = draw.one("Conv", "Conv", "SeparableConv") if at.rank < 3 else "Conv"
    dilation = draw.one(1, 1, 1, 2) if strides == 1 and min(at.space) >= 12 else 1
    if padding == "valid" and dilation == 2:
        at.space = tuple(n - kernel + 1 for n in at.space)
    layer = layer_class(kind, at.rank)(
        at.channels,
        kernel,
        strides,
        padding,
        dilation_rate=dilation,
        activation=draw.one(None, "relu", "tanh"),
        name=draw.name("conv"),
    )
    return S.Plain(layer, "conv")


def activation(draw: Draw) -> S.Step:
    """An activation layer."""
    name = draw.name("act")
    layers = [L.ReLU(name=name), L.LeakyReLU(name=name), L.ELU(name=name)]
    layers += [L.Activation(one, name=name) for one in ("gelu", "silu", "softplus")]
    return S.Plain(draw.one(*layers), "feature")


def pooling(draw: Draw, at: Map) -> S.Step:
    """Local pooling by two."""
    padding = draw.one("valid", "valid", "same")
    at.space = tuple(-(-n // 2) if padding == "same" else n // 2 for n in at.space)
    kind = layer_class(draw.one("MaxPooling", "AveragePooling"), at.rank)
    return S.Plain(kind(2, padding=padding, name=draw.name("pool")))


def block(draw: Draw, at: Map) -> list[S.Step]:
    """A convolution with what usually follows, or a block of several."""
    kind = draw.number(0, 9)
    if kind == 0:
        residual = [conv(draw, at, "same", 1, filters=at.channels), activation(draw)]
        return [S.Joined([[], residual], L.Add(name=draw.name("sum")))]
    if kind == 1:
        first, second = conv(draw, at, "same", 1), conv(draw, at, "same", 1)
        at.channels = first.layer.filters + second.layer.filters
        return [S.Joined([[first], [second]], L.Concatenate(name=draw.name("join")))]
    if kind == 2:
        shared = conv(draw, at, "same", 1, filters=at.channels)
        return [shared, activation(draw), shared]
    if kind == 3:
        return _padded_conv(draw, at)
    steps = [conv(draw, at)]
    if draw.chance(0.5):
        steps.append(S.BatchNormalized(L.BatchNormalization(name=draw.name("norm")), "feature"))
    if draw.chance(0.7):
        steps.append(activation(draw))
    if draw.chance(0.3) and min(at.space) >= 8:
        steps.append(pooling(draw, at))
    return steps


def _padded_conv(draw: Draw, at: Map) -> list[S.Step]:
    """A padding that the VALID convolution after it consumes, as in ResNets and MobileNets."""
    kernel, strides = draw.one((3, 1), (3, 2), (5, 1), (7, 2))
    pads = [draw.one((kernel // 2, kernel // 2), (kernel // 2, kernel // 2), (0, kernel - strides))] * at.rank
    layer = layer_class("ZeroPadding", at.rank)(layer_form(pads), name=draw.name("zeros"))
    at.space = tuple((n + a + b - kernel) // strides + 1 for n, (a, b) in zip(at.space, pads, strict=True))
    at.channels = draw.number(3, 6)
    conv = layer_class("Conv", at.rank)(at.channels, kernel, strides, name=draw.name("conv"))
    return [S.Moved([(-a, -b) for a, b in pads], layer), S.Plain(conv), activation(draw)]


def chain(draw: Draw, at: Map, moves: bool, plain: bool) -> list[S.Step]:
    """All steps from an input to its last map.

    Args:
        draw: makes the choices.
        at: the map, which is updated.
        moves: whether crops and pads are among them.
        plain: whether plain operations are allowed.
    """
    steps: list[S.Step] = augmentation(draw, at) if draw.chance(0.6) else []
    if moves:
        steps += _moved(draw, at, plain)
    steps += block(draw, at)
    is_known = not any(isinstance(step, S.RandomlyCropped) for step in steps)
    if moves and is_known and draw.chance(0.3) and min(at.space) >= 10:
        steps += _moved(draw, at, plain)
    for _ in range(draw.number(0, 2)):
        steps += block(draw, at)
    if not isinstance(steps[-1], (S.Plain, S.Joined)) or steps[-1].layers[0].name.startswith("crop"):
        steps += [conv(draw, at, "same", 1)]
    if draw.chance(0.2):
        steps.append(_idle_dropout(draw))
    return steps


def _moved(draw: Draw, at: Map, plain: bool) -> list[S.Step]:
    """A crop or a padding; in volumes pooling follows.

    In TensorFlow's graphs with oneDNN, a SAME convolution of a volume right after a padding pads nothing of its own.
    """
    steps = move(draw, at, plain)
    return [*steps, pooling(draw, at)] if at.rank == 3 else steps


def _idle_dropout(draw: Draw) -> S.Step:
    return S.Idle(L.Dropout(0.5, name=draw.name("drop")), "other")


def pooled(draw: Draw, at: Map, flatten: bool = True) -> Any:
    """A layer that makes a vector of the last map."""
    names = ["GlobalAveragePooling", "GlobalAveragePooling", "GlobalMaxPooling"]
    kind = draw.one(*names, *(["Flatten"] if flatten else []))
    return L.Flatten(name=draw.name("flat")) if kind == "Flatten" else layer_class(kind, at.rank)(name=draw.name("gap"))
