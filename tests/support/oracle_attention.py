"""Rollouts of attention as their papers write them, in NumPy float64; and transformers by hand, in TensorFlow float64.

All are of one image: attention weights are ``(heads, N, N)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_HEADS = {"mean": np.mean, "max": np.max, "min": np.min}


def attentionrollout(
    attention: Sequence[np.ndarray], read: Sequence[int], residual: float = 0.5, heads: str = "mean"
) -> np.ndarray:
    """Products of matrices whose rows sum to 1; the mean of the rows that are read, ``(N,)``."""
    rolled = np.eye(attention[0].shape[-1])
    for weights in attention:
        matrix = (1 - residual) * _HEADS[heads](weights.astype(np.float64), 0) + residual * np.eye(len(rolled))
        rolled = matrix / matrix.sum(1, keepdims=True) @ rolled
    return np.asarray(rolled[list(read)].mean(0))


def gradientrollout(
    attention: Sequence[np.ndarray], gradients: Sequence[np.ndarray], read: Sequence[int]
) -> np.ndarray:
    """``R ← R + mean_heads (∇A ⊙ A)⁺ R``; the mean of the rows of ``R - I`` that are read, ``(N,)``."""
    relevance = np.eye(attention[0].shape[-1])
    for weights, gradient in zip(attention, gradients, strict=True):
        evidence = np.maximum(gradient.astype(np.float64) * weights.astype(np.float64), 0).mean(0)
        relevance = relevance + evidence @ relevance
    return np.asarray((relevance - np.eye(len(relevance)))[list(read)].mean(0))


class ByHand:
    """A transformer of ``support.transformers`` run in float64 on its weights, layer by layer, by plain operations.

    Args:
        model: of blocks with the layers' names of that module.
        images: a batch.

    Attributes:
        attention: the weights of each block, ``(B, heads, N, N)``.
        logits: what the last layer computes before its softmax.
    """

    def __init__(self, model: keras.Model, images: np.ndarray) -> None:
        self.model = model
        self.attention: list[Any] = []
        with tf.GradientTape(persistent=True) as self.tape:
            self.logits = self._logits(tf.constant(images, tf.float64))

    def gradients(self, classes: Sequence[int]) -> list[np.ndarray]:
        """The gradients of the logit of one class for each image with respect to the attention weights."""
        with self.tape:
            score = tf.reduce_sum(tf.gather(self.logits, classes, axis=1, batch_dims=1))
        return [gradient.numpy() for gradient in self.tape.gradient(score, self.attention)]

    def rolled_out(
        self,
        grid: tuple[int, int],
        prefix: int,
        read: Sequence[int],
        classes: Sequence[int] | None = None,
        first_block: int = 0,
    ) -> np.ndarray:
        """Maps ``(B, h, w)`` from a block on: of attention or, for a class of each image, of gradients."""
        attention = [weights.numpy() for weights in self.attention][first_block:]
        gradients = None if classes is None else self.gradients(classes)[first_block:]
        maps = []
        for index in range(len(attention[0])):
            each = [block[index] for block in attention]
            if gradients is None:
                tokens = attentionrollout(each, read)
            else:
                tokens = gradientrollout(each, [block[index] for block in gradients], read)
            maps.append(tokens[prefix : prefix + grid[0] * grid[1]].reshape(grid))
        return np.array(maps)

    def _weights(self, layer: str) -> list[Any]:
        return [tf.cast(weight.value, tf.float64) for weight in self.model.get_layer(layer).weights]

    def _has(self, layer: str) -> bool:
        return layer in [one.name for one in self.model.layers]

    def _logits(self, x: Any) -> Any:
        if self._has("stem"):
            x = tf.nn.relu(self._convolved("stem", x, 2, "SAME"))
        x = self._convolved("patches", x, self.model.get_layer("patches").strides, "VALID")
        x = tf.reshape(x, [x.shape[0], -1, x.shape[-1]])
        count, registers = x.shape[1], 0
        extra = next((name for name in ("extra", "tokens") if hasattr(self._layer(name), "learned")), None)
        if extra:
            learned = {name: tf.cast(value.value, tf.float64) for name, value in self._layer(extra).learned.items()}
            parts = [learned.get("before"), None, learned.get("behind")]
            repeated = [None if part is None else tf.repeat(part, x.shape[0], 0) for part in parts]
            registers = 0 if parts[2] is None else parts[2].shape[1]
            x = tf.concat([part for part in (repeated[0], x, repeated[2]) if part is not None], 1)
        if extra != "tokens":
            x = x + self._weights("tokens")[0]
        for block in range(sum(self._has(f"block{index}_norm1") for index in range(9))):
            x = self._block(f"block{block}", x)
        return self._headed(x, x.shape[1] - count - registers, count)

    def _layer(self, name: str) -> Any:
        return self.model.get_layer(name) if self._has(name) else None

    def _headed(self, x: Any, prefix: int, count: int) -> Any:
        if self.model.name == "beit":
            return self._dense("head", self._normalized("norm", tf.reduce_mean(x[:, 1:], 1)))
        x = self._normalized("norm", x)
        if self.model.name == "deit":
            return (self._dense("head", x[:, 0]) + self._dense("distilled_head", x[:, 1])) / 2
        return self._dense("head", x[:, 0] if prefix else tf.reduce_mean(x[:, :count], 1))

    def _block(self, name: str, x: Any) -> Any:
        attend = (
            self._of_keras
            if isinstance(self._layer(f"{name}_attention"), keras.layers.MultiHeadAttention)
            else self._relative
        )
        x = x + attend(self._layer(f"{name}_attention"), self._normalized(f"{name}_norm1", x))
        inner = self._dense(f"{name}_mlp1", self._normalized(f"{name}_norm2", x))
        inner = inner * (1 + tf.math.erf(inner / np.sqrt(2))) / 2
        return x + self._dense(f"{name}_mlp2", inner)

    def _of_keras(self, layer: Any, x: Any) -> Any:
        names = ("query_dense", "key_dense", "value_dense", "output_dense")
        kernels, biases = zip(
            *([tf.cast(w.value, tf.float64) for w in getattr(layer, name).weights] for name in names), strict=True
        )
        query, key, value = (
            tf.einsum("bnc,chd->bhnd", x, kernel) + bias[:, tf.newaxis]
            for kernel, bias in zip(kernels[:3], biases[:3], strict=True)
        )
        attended = self._attended(query @ tf.transpose(key, [0, 1, 3, 2]) / np.sqrt(query.shape[-1]), value)
        return tf.einsum("bhnd,hdc->bnc", attended, kernels[3]) + biases[3]

    def _relative(self, layer: Any, x: Any) -> Any:
        kernel, bias = (tf.cast(weight.value, tf.float64) for weight in layer.qkv.weights)
        each = layer.width // layer.heads
        split = tf.reshape(x @ kernel + bias, [*x.shape[:2], 3, layer.heads, each])
        query, key, value = (tf.transpose(split[:, :, index], [0, 2, 1, 3]) for index in range(3))
        scores = query @ tf.transpose(key, [0, 1, 3, 2]) / np.sqrt(each) + tf.cast(layer.bias.value, tf.float64)
        return tf.reshape(tf.transpose(self._attended(scores, value), [0, 2, 1, 3]), x.shape)

    def _attended(self, scores: Any, value: Any) -> Any:
        weights = tf.nn.softmax(scores)
        self.attention.append(weights)
        return weights @ value

    def _convolved(self, name: str, x: Any, strides: Any, padding: str) -> Any:
        kernel, bias = self._weights(name)
        return tf.nn.conv2d(x, kernel, strides, padding) + bias

    def _normalized(self, name: str, x: Any) -> Any:
        scale, offset = self._weights(name)
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) / tf.sqrt(variance + self._layer(name).epsilon) * scale + offset

    def _dense(self, name: str, x: Any) -> Any:
        kernel, bias = self._weights(name)
        return x @ kernel + bias
