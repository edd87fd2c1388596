"""Heatmaps compiled with XLA, inside of a model that is not.

XLA reads feature maps once or twice, and writes a heatmap once, where operation after operation writes and reads whole
copies of them. But on a CPU it makes depthwise convolutions several times slower, so only heatmaps are compiled, and
the activations that they are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import tensorflow as tf

from visualcnn_tf.ops.exporting import is_exporting, switched_on

# So few channels a product takes one by one; four sums take them four at a time.
_FEW = range(4, 64, 4)
_compiling: ContextVar[bool] = ContextVar("compiling", default=False)


class Compiled:
    """A function that XLA compiles for each shape of the tensors and each value of the rest that it is given.

    Inside of a portable graph it is left as it is.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._plain = function
        self._compiled = tf.function(self._traced, jit_compile=True, autograph=False)

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns."""
        return (self._plain if is_exporting() else self._compiled)(*arguments)

    def _traced(self, *arguments: Any) -> Any:
        with switched_on(_compiling):
            return self._plain(*arguments)


def is_compiling() -> bool:
    """Whether the graph that is being built is made inside of a :class:`Compiled` function."""
    return _compiling.get()


def is_compiling_for_cpu() -> bool:
    """Whether it is, and for a CPU: a GPU could multiply in TensorFloat-32, which rounds to three digits."""
    return is_compiling() and not tf.config.list_physical_devices("GPU")


def channel_mean(tensor: Any) -> Any:
    """Mean over the last axis."""
    if not is_compiling_for_cpu():
        return tf.reduce_mean(tensor, -1)
    # XLA's own sum over the last axis takes several times as long on a CPU as this product.
    channels = tensor.shape[-1] or tf.shape(tensor)[-1]
    share = 1.0 / tf.cast(channels, tf.float32)
    if tensor.shape[-1] in _FEW:
        fours = tf.reduce_sum(tf.reshape(tensor, [-1, channels // 4, 4]), 1)
        means = tf.add_n(tf.unstack(fours, axis=-1)) * share
    else:
        means = tf.matmul(tf.reshape(tensor, [-1, channels]), tf.fill([channels, 1], share))
    return tf.reshape(means, tf.shape(tensor)[:-1])


def spatial_mean(tensor: Any) -> Any:
    """Mean over the axes between the first and the last, which keep a size of 1."""
    space = list(range(1, tensor.shape.rank - 1))
    if is_compiling():
        return tf.reduce_mean(tensor, space, keepdims=True)
    # TensorFlow's own kernel takes twice as long for large maps when it gets all the axes at once.
    for axis in space:
        tensor = tf.reduce_mean(tensor, axis, keepdims=True)
    return tensor
