"""The custom layers of the tiny transformers, written as in tutorials and in papers' code."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers as L  # noqa: N812
from keras import ops


@keras.saving.register_keras_serializable(package="tests")
class ExtraTokens(L.Layer):
    """Put learned tokens before and behind those of the patches."""

    def __init__(self, prefix: int, suffix: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prefix, self.suffix = prefix, suffix

    def build(self, shape: Any) -> None:
        counts = {"before": self.prefix, "behind": self.suffix}
        self.learned = {
            name: self.add_weight(shape=(1, count, shape[-1]), initializer="random_normal", name=name)
            for name, count in counts.items()
            if count
        }

    def call(self, x: Any) -> Any:
        size = (ops.shape(x)[0], 1, 1)
        parts = {name: ops.tile(tokens, size) for name, tokens in self.learned.items()}
        every = (parts.get("before"), x, parts.get("behind"))
        return ops.concatenate([part for part in every if part is not None], axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "prefix": self.prefix, "suffix": self.suffix}


@keras.saving.register_keras_serializable(package="tests")
class Positions(L.Layer):
    """Add learned positions."""

    def build(self, shape: Any) -> None:
        self.positions = self.add_weight(shape=(1, *shape[1:]), initializer="random_normal", name="positions")

    def call(self, x: Any) -> Any:
        return x + self.positions


@keras.saving.register_keras_serializable(package="tests")
class Patches(L.Layer):
    """Cut an image into patches, ``(B, n, patch·patch·C)``: the layer of keras.io's vision transformer."""

    def __init__(self, patch: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.patch = patch

    def call(self, images: Any) -> Any:
        _, height, width, channels = images.shape
        count = (height // self.patch) * (width // self.patch)
        patches = ops.image.extract_patches(images, size=self.patch)
        return ops.reshape(patches, (ops.shape(images)[0], count, self.patch * self.patch * channels))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "patch": self.patch}


@keras.saving.register_keras_serializable(package="tests")
class RelativeAttention(L.Layer):
    """Self-attention by products of matrices, with a learned bias for each pair of tokens."""

    def __init__(self, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads
        self.softmax = L.Softmax(name="weights")

    def build(self, shape: Any) -> None:
        _, count, self.width = shape
        self.qkv = L.Dense(3 * self.width, name="qkv")
        self.qkv.build(shape)
        self.bias = self.add_weight(shape=(self.heads, count, count), initializer="random_normal", name="bias")

    def call(self, x: Any) -> Any:
        count, each = x.shape[1], self.width // self.heads
        split = ops.reshape(self.qkv(x), (-1, count, 3, self.heads, each))
        query, key, value = ops.unstack(ops.transpose(split, (2, 0, 3, 1, 4)), axis=0)
        scores = ops.matmul(query, ops.swapaxes(key, 2, 3)) / each**0.5
        attended = ops.matmul(self.softmax(scores + self.bias), value)
        return ops.reshape(ops.transpose(attended, (0, 2, 1, 3)), (-1, count, self.width))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}


@keras.saving.register_keras_serializable(package="tests")
class MixedAttention(L.Layer):
    """Self-attention of MiT: keys and values of a map that a convolution has made smaller."""

    def __init__(self, heads: int, grid: Any, reduction: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.grid, self.reduction = heads, tuple(grid), reduction

    def build(self, shape: Any) -> None:
        width = shape[-1]
        self.query, self.key, self.value = (L.Dense(width, name=name) for name in ("query", "key", "value"))
        for layer in (self.query, self.key, self.value):
            layer.build(shape)
        self.dropout = L.Dropout(0.1, name="dropout")
        if self.reduction > 1:
            self.reduce = L.Conv2D(width, self.reduction, strides=self.reduction, name="reduce")
            self.reduce.build((None, *self.grid, width))
            self.reduced_norm = L.LayerNormalization(name="reduced_norm")
            self.reduced_norm.build(shape)

    def call(self, x: Any) -> Any:
        count, width = x.shape[1:]
        source = x
        if self.reduction > 1:
            source = self.reduce(ops.reshape(x, (-1, *self.grid, width)))
            source = self.reduced_norm(ops.reshape(source, (-1, source.shape[1] * source.shape[2], width)))
        query, key, value = (
            self._split(layer(tokens)) for layer, tokens in ((self.query, x), (self.key, source), (self.value, source))
        )
        scores = ops.matmul(query, ops.swapaxes(key, 2, 3)) * (width // self.heads) ** -0.5
        attended = ops.matmul(self.dropout(ops.softmax(scores)), value)
        return ops.reshape(ops.transpose(attended, (0, 2, 1, 3)), (-1, count, width))

    def _split(self, x: Any) -> Any:
        count, width = x.shape[1:]
        return ops.transpose(ops.reshape(x, (-1, count, self.heads, width // self.heads)), (0, 2, 1, 3))

    def get_config(self) -> dict[str, Any]:
        config = {"heads": self.heads, "grid": self.grid, "reduction": self.reduction}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package="tests")
class SwinBlock(L.Layer):
    """Attention in windows, shifted or not, and a multilayer perceptron, on tokens ``(B, h·w, C)``."""

    def __init__(self, grid: Any, window: int, shift: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grid, self.window, self.shift = tuple(grid), window, shift

    def build(self, shape: Any) -> None:
        width = shape[-1]
        self.norm1, self.norm2 = L.LayerNormalization(name="norm1"), L.LayerNormalization(name="norm2")
        self.attention = RelativeAttention(2, name="attention")
        self.mlp1, self.mlp2 = L.Dense(2 * width, activation="gelu", name="mlp1"), L.Dense(width, name="mlp2")
        self.attention.build((None, self.window**2, width))
        for layer in (self.norm1, self.norm2, self.mlp1):
            layer.build(shape)
        self.mlp2.build((*shape[:-1], 2 * width))

    def call(self, x: Any) -> Any:
        (rows, columns), side, width = self.grid, self.window, x.shape[-1]
        maps = ops.reshape(self.norm1(x), (-1, rows, columns, width))
        maps = ops.roll(maps, (-self.shift, -self.shift), axis=(1, 2)) if self.shift else maps
        split = ops.reshape(maps, (-1, rows // side, side, columns // side, side, width))
        windows = ops.reshape(ops.transpose(split, (0, 1, 3, 2, 4, 5)), (-1, side * side, width))
        split = ops.reshape(self.attention(windows), (-1, rows // side, columns // side, side, side, width))
        maps = ops.reshape(ops.transpose(split, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, width))
        maps = ops.roll(maps, (self.shift, self.shift), axis=(1, 2)) if self.shift else maps
        x = x + ops.reshape(maps, (-1, rows * columns, width))
        return x + self.mlp2(self.mlp1(self.norm2(x)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "grid": self.grid, "window": self.window, "shift": self.shift}
