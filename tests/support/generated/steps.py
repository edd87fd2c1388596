"""The pieces of generated models. Each can be built into a Keras model, and done by hand.

By hand, convolutions and pooling are the layers themselves, called eagerly; whatever can be said in a line is said in a
line: normalizations, crops, pads, and that augmentation does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from support.generated.hand import Flow, Hand

L = keras.layers


class Step:
    """A piece of a model.

    Attributes:
        layers: its Keras layers; none for a piece of plain operations, which no Sequential can hold.
    """

    layers: Sequence[Any] = ()

    def symbolic(self, x: Any) -> Any:
        """Apply the step to a Keras tensor, or to a tensor inside of a model's call."""
        raise NotImplementedError

    def by_hand(self, flow: Flow, hand: Hand) -> Flow:
        """Do the same by hand."""
        raise NotImplementedError


@dataclass
class Plain(Step):
    """A layer that covers what it reads: a convolution, pooling, an activation, a plain resizing."""

    layer: Any
    kind: str = "conv"

    def __post_init__(self) -> None:
        self.layers = [self.layer]

    def symbolic(self, x: Any) -> Any:
        return self.layer(x)

    def by_hand(self, flow: Flow, hand: Hand) -> Flow:
        value = self.value(flow.value)
        if isinstance(self.layer, L.Resizing):
            flow = flow.settled()
        elif getattr(self.layer, "padding", "same") == "valid":
            flow = flow.windowed(value, window_reach(self.layer, len(flow.space)))
        return hand.note(self.layer.name, self.kind, flow.to(value))

    def value(self, x: tf.Tensor) -> tf.Tensor:
        return self.layer(x, training=False)


def window_reach(layer: Any, rank: int) -> list[int]:
    """How many positions more than one a window of a layer spans, along each axis."""
    size = layer.kernel_size if hasattr(layer, "kernel_size") else layer.pool_size
    dilation = getattr(layer, "dilation_rate", 1)
    return [int(n) for n in (np.broadcast_to(size, rank) - 1) * np.broadcast_to(dilation, rank)]


class Idle(Plain):
    """Augmentation, noise or dropout: nothing in inference."""

    def value(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, self.layer.compute_dtype)


class Scaled(Plain):
    """Rescaling."""

    def value(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, tf.float32) * self.layer.scale + self.layer.offset


class Standardized(Plain):
    """Normalization."""

    def value(self, x: tf.Tensor) -> tf.Tensor:
        return (x - tf.cast(self.layer.mean, tf.float32)) / tf.sqrt(tf.cast(self.layer.variance, tf.float32))


class BatchNormalized(Plain):
    """Batch normalization with statistics of its own."""

    def value(self, x: tf.Tensor) -> tf.Tensor:
        layer = self.layer
        factor = layer.gamma.value / tf.sqrt(layer.moving_variance.value + layer.epsilon)
        return (x - layer.moving_mean.value) * factor + layer.beta.value


class RandomlyCropped(Plain):
    """RandomCrop, which in inference does nothing or, in earlier versions of Keras, cuts out the center."""

    def by_hand(self, flow: Flow, hand: Hand) -> Flow:
        value = self.layer(flow.value, training=False)
        cut = [before - after for before, after in zip(flow.space, value.shape[1:-1], strict=True)]
        return hand.note(self.layer.name, self.kind, flow.moved(value, [(n // 2, n - n // 2) for n in cut]))


@dataclass
class Moved(Step):
    """A crop or a padding: so many cells off before and after each axis, or as many zeros more where negative.

    Attributes:
        cells: one pair for each axis.
        layer: the layer that does it, or None for a plain operation.
        axes_before: how many axes there are before the spatial ones.
    """

    cells: Sequence[tuple[int, int]]
    layer: Any = None

    def __post_init__(self) -> None:
        self.layers = [] if self.layer is None else [self.layer]

    def symbolic(self, x: Any) -> Any:
        if self.layer is not None:
            return self.layer(x)
        return keras.ops.pad(x, self._pads()) if self.adds else x[self._slices(x.shape[1:-1])]

    def by_hand(self, flow: Flow, hand: Hand) -> Flow:
        value = tf.pad(flow.value, self._pads()) if self.adds else flow.value[self._slices(flow.space)]
        flow = flow.moved(value, self.cells)
        return flow if self.layer is None else hand.note(self.layer.name, "other", flow)

    @property
    def adds(self) -> bool:
        """Whether it is a padding."""
        return any(n < 0 for pair in self.cells for n in pair)

    def _pads(self) -> list[list[int]]:
        return [[0, 0], *([-before, -after] for before, after in self.cells), [0, 0]]

    def _slices(self, space: Sequence[int]) -> tuple[slice, ...]:
        return (slice(None), *(slice(a, n - b if b else None) for n, (a, b) in zip(space, self.cells, strict=True)))


@dataclass
class Aspect(Step):
    """Resizing that keeps the aspect ratio, by a crop or by a padding."""

    layer: Any

    def __post_init__(self) -> None:
        self.layers = [self.layer]

    def symbolic(self, x: Any) -> Any:
        return self.layer(x)

    def by_hand(self, flow: Flow, hand: Hand) -> Flow:
        """Cut off, or add, as much as makes the ratio that of the target; then resize without changing the box."""
        (height, width), layer = flow.space, self.layer
        ratios = int(width * layer.height / layer.width), int(height * layer.width / layer.height)
        if layer.crop_to_aspect_ratio:
            cells = [_halves(n - max(1, min(n, ratio))) for n, ratio in zip((height, width), ratios, strict=True)]
        else:
            added = [(max(n, ratio) - n) // 2 for n, ratio in zip((height, width), ratios, strict=True)]
            cells = [(-n, -n) for n in added]
        step = Moved(cells)
        flow = step.by_hand(flow, hand).settled()
        value = tf.image.resize(flow.value, (layer.height, layer.width))
        return hand.note(layer.name, "other", flow.to(value))


def _halves(n: int) -> tuple[int, int]:
    return n // 2, n - n // 2


@dataclass
class Joined(Step):
    """The outputs of two chains that read the same, joined: a residual block, or two branches side by side."""

    chains: Sequence[Sequence[Step]]
    layer: Any

    def __post_init__(self) -> None:
        self.layers = [*(layer for chain in self.chains for step in chain for layer in step.layers), self.layer]

    def symbolic(self, x: Any) -> Any:
        return self.layer([chained(chain, x) for chain in self.chains])

    def by_hand(self, flow: Flow, hand: Hand) -> Flow:
        flows = [chained_by_hand(chain, flow, hand) for chain in self.chains]
        values = [one.value for one in flows]
        joined = tf.add_n(values) if isinstance(self.layer, L.Add) else tf.concat(values, -1)
        return hand.note(self.layer.name, "feature", flows[0].to(joined))


@dataclass
class Nested(Step):
    """Steps inside a model or layer of their own.

    Attributes:
        name: of that model.
        steps: what it is made of.
        style: ``"sequential"``, ``"functional"``, ``"subclassed"`` or ``"layer"``.
        vector: what turns the last map into a vector inside that model, or None.
    """

    name: str
    steps: Sequence[Step]
    style: str
    vector: Any = None
    model: Any = field(default=None, init=False)

    def symbolic(self, x: Any) -> Any:
        if self.model is None:
            self.model = self._built(tuple(x.shape[1:]), x.dtype)
            self.layers = [self.model]
        return self.model(x)

    def by_hand(self, flow: Flow, hand: Hand) -> Flow:
        with hand.inside(self.name):
            flow = chained_by_hand(self.steps, flow, hand)
        if self.vector is not None:
            return flow.to(self.vector(flow.value))
        return hand.note(self.name, "feature", flow)

    def _built(self, shape: tuple[int | None, ...], dtype: str) -> Any:
        if self.style == "functional":
            inputs = keras.Input(shape, dtype=dtype)
            return keras.Model(inputs, self._run(inputs), name=self.name)
        if self.style == "sequential":
            return keras.Sequential([keras.Input(shape, dtype=dtype), *self.inner_layers], name=self.name)
        base = keras.Model if self.style == "subclassed" else keras.layers.Layer
        return composite(base, self.inner_layers, self._run, self.name)

    @property
    def inner_layers(self) -> list[Any]:
        """All layers inside, in order."""
        layers = [layer for step in self.steps for layer in step.layers]
        return layers if self.vector is None else [*layers, self.vector]

    def _run(self, x: Any) -> Any:
        x = chained(self.steps, x)
        return x if self.vector is None else self.vector(x)


def composite(base: type, parts: Sequence[Any], run: Any, name: str) -> Any:
    """A subclassed model, or a layer, that owns these parts and runs them by a function."""

    class Composite(base):
        def __init__(self) -> None:
            super().__init__(name=name)
            self.parts = list(parts)

        def call(self, inputs: Any) -> Any:
            return run(inputs)

        def build(self, *shapes: Any) -> None:
            self.built = True

    return Composite()


def chained(steps: Sequence[Step], x: Any) -> Any:
    """The steps one after the other."""
    for step in steps:
        x = step.symbolic(x)
    return x


def chained_by_hand(steps: Sequence[Step], flow: Flow, hand: Hand) -> Flow:
    """The same by hand."""
    for step in steps:
        flow = step.by_hand(flow, hand)
    return flow
