"""Small models whose attention can't be rolled out, each for another reason, and some in which it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers as L  # noqa: N812
from keras import ops

from support.transformer_layers import ExtraTokens


class ByHeadsInTheBatch(L.Layer):
    """Attention whose heads are merged into the batch."""

    def call(self, x: Any) -> Any:
        heads = ops.reshape(ops.transpose(ops.reshape(x, (-1, 16, 2, 4)), (0, 2, 1, 3)), (-1, 16, 4))
        attended = ops.matmul(ops.softmax(ops.matmul(heads, ops.swapaxes(heads, 1, 2))), heads)
        return ops.reshape(ops.transpose(ops.reshape(attended, (-1, 2, 16, 4)), (0, 2, 1, 3)), (-1, 16, 8))


class Compiled(L.Layer):
    """Attention inside of a function that XLA compiles."""

    def call(self, x: Any) -> Any:
        attend = tf.function(lambda x: tf.nn.softmax(x @ tf.transpose(x, [0, 2, 1])) @ x, jit_compile=True)
        return attend(x)


class Plain(L.Layer):
    """Attention of one head, whose weights gradients may be stopped at."""

    def __init__(self, stopped: bool = False) -> None:
        super().__init__()
        self.stopped = stopped

    def call(self, x: Any) -> Any:
        weights = ops.softmax(ops.matmul(x, ops.swapaxes(x, 1, 2)))
        return ops.matmul(ops.stop_gradient(weights) if self.stopped else weights, x)


class AnyCount(L.Layer):
    """Return tokens as they are; how many they are is known at run time only."""

    def call(self, x: Any) -> Any:
        return tf.reshape(x, [tf.shape(x)[0], -1, x.shape[-1]])

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, x.dtype)


def model_of(attend: Callable[[Any], Any], read: Callable[[Any], Any] = lambda x: ops.mean(x, 1)) -> Any:
    image = keras.Input((16, 16, 3), name="image")
    x = L.Reshape((16, 8), name="tokens")(L.Conv2D(8, 4, strides=4, name="patches")(image))
    return keras.Model(image, L.Dense(5, name="head")(read(x + attend(x))), name="small")


def attend_once() -> Any:
    return model_of(lambda x: Plain()(x))


def attend_without_gradients() -> Any:
    return model_of(lambda x: Plain(stopped=True)(x))


def attend_side_by_side() -> Any:
    return model_of(lambda x: Plain()(x) + Plain()(L.Dense(8)(x)))


def attend_by_heads_in_the_batch() -> Any:
    return model_of(lambda x: ByHeadsInTheBatch()(x))


def attend_in_a_function() -> Any:
    return model_of(lambda x: Compiled()(x))


def attend_to_pool() -> Any:
    return model_of(lambda x: L.MultiHeadAttention(2, 4)(x[:, :1], Plain()(x)))


def attend_with_a_class_token() -> Any:
    return model_of(lambda x: Plain()(ExtraTokens(1)(x))[:, 1:])


def attend_in_steps() -> Any:
    clip = keras.Input((2, 16, 16, 3))
    return keras.Model(clip, ops.mean(L.TimeDistributed(attend_once(), name="steps")(clip), 1))


def read_backwards() -> Any:
    return model_of(lambda x: Plain()(x), lambda x: L.Flatten()(ops.flip(x, 1)))


def read_in_pieces() -> Any:
    return model_of(lambda x: Plain()(x), lambda x: L.Flatten()(ops.concatenate([x[:, 8:], x[:, :4]], 1)))


#: By name, for the table of bad inputs.
BUILDERS: dict[str, Callable[[], Any]] = {
    build.__name__: build
    for build in (
        *(attend_once, attend_without_gradients, attend_side_by_side, attend_by_heads_in_the_batch),
        *(attend_in_a_function, attend_to_pool, attend_with_a_class_token, attend_in_steps),
        *(read_backwards, read_in_pieces),
    )
}
