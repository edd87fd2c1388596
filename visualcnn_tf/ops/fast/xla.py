"""Functions that XLA compiles, inside of a model that it does not compile.

What it buys: XLA reads feature maps once or twice and writes a heatmap once, where operation after operation writes and
reads whole copies of them. But on a CPU it makes depthwise convolutions several times slower, so only heatmaps are
compiled, and the activations that they are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from visualcnn_tf.ops.exporting import is_exporting, switched_on
from visualcnn_tf.ops.fast.environment import compiling


class Compiled:
    """A function that XLA compiles for each shape of the tensors and each value of its other arguments.

    In a graph that is exported, the function is left as it is.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._plain = function
        self._compiled = tf.function(self._traced, jit_compile=True, autograph=False)

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function returns."""
        return (self._plain if is_exporting() else self._compiled)(*arguments)

    def _traced(self, *arguments: Any) -> Any:
        with switched_on(compiling):
            return self._plain(*arguments)
