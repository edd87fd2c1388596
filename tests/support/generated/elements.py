"""Several images for each example: views merged into the batch, TimeDistributed, loops over elements.

Each takes ``(B, n, H, W, C)``, or two inputs ``(B, H, W, C)``, and ends in one vector for each example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from support.generated.hand import Elements, Flow, Hand
from support.generated.steps import Nested, Step, chained, chained_by_hand, composite

L = keras.layers


@dataclass
class Each(Step):
    """The same steps for each of ``count`` images of an example, whose vectors are then joined by their mean.

    Attributes:
        steps: for one image; the last map goes through ``vector``.
        vector: the pooling.
        count: how many images.
        before: what is done to all images at once.
        how: ``"example"`` (a reshape), ``"element"`` (a concatenation on the batch axis), ``"steps"``
            (TimeDistributed), ``"map"`` or ``"vectorized_map"``.
        name: of the layer around the steps, if there is one.
    """

    steps: Sequence[Step]
    vector: Any
    count: int
    how: str
    before: Sequence[Step] = ()
    name: str = "each"
    wrapper: Any = field(default=None, init=False)

    @property
    def layers(self) -> list[Any]:  # type: ignore[override]
        if self.wrapper is not None:
            return [self.wrapper]
        return [*(layer for step in self.steps for layer in step.layers), self.vector]

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Make the layer around the steps, if there is one, for images of this shape."""
        inner = Nested("frame", self.steps, "functional", self.vector)
        if self.how in ("map", "vectorized_map"):
            inner.symbolic(keras.Input(shape))
            self.wrapper = composite(L.Layer, [inner.model], lambda x: _looped(self.how, inner.model, x), self.name)
        elif self.how == "steps":
            inner.symbolic(keras.Input(shape))
            self.wrapper = L.TimeDistributed(inner.model, name=self.name)

    def symbolic(self, x: Any) -> Any:
        """Of ``(B, n, H, W, C)``, or of two inputs ``(B, H, W, C)``, which need ``how="element"``."""
        x = x if isinstance(x, list) else chained(self.before, x)
        if self.wrapper is not None:
            return keras.ops.mean(self.wrapper(x), axis=1)
        if self.how == "example":
            vectors = self._one(keras.ops.reshape(x, (-1, *x.shape[2:])))
            return keras.ops.mean(keras.ops.reshape(vectors, (-1, self.count, vectors.shape[-1])), axis=1)
        images = x if isinstance(x, list) else [x[:, i] for i in range(self.count)]
        vectors = self._one(keras.ops.concatenate(images, axis=0))
        parts = keras.ops.split(vectors, self.count, axis=0)
        return sum(parts[1:], parts[0]) / self.count

    def by_hand(self, flow: Flow, hand: Hand) -> Flow:
        """Run all images as one batch, then take the mean of each example's vectors."""
        flow = chained_by_hand(self.before, flow, hand)
        count = int(flow.value.shape[1])
        order = "element" if self.how == "element" else "example"
        value = tf.transpose(flow.value, [1, 0, 2, 3, 4]) if order == "element" else flow.value
        merged = tf.reshape(value, [-1, *value.shape[2:]])
        elements = Elements(count, order, "merged" if self.wrapper is None else "steps")
        slack = None if flow.slack is None else flow.slack[1:]
        flow = Flow(merged, flow.reference, flow.box[1:], elements, slack)
        if self.wrapper is None:
            vectors = self._one_by_hand(flow, hand)
        else:
            with hand.inside(self.name), hand.inside("frame"):
                vectors = self._one_by_hand(flow, hand)
        if order == "element":
            return flow.to(tf.reduce_mean(tf.reshape(vectors, [count, -1, vectors.shape[-1]]), 0))
        return flow.to(tf.reduce_mean(tf.reshape(vectors, [-1, count, vectors.shape[-1]]), 1))

    def _one(self, x: Any) -> Any:
        return self.vector(chained(self.steps, x))

    def _one_by_hand(self, flow: Flow, hand: Hand) -> tf.Tensor:
        return self.vector(chained_by_hand(self.steps, flow, hand).value)


def _looped(how: str, net: Any, x: Any) -> Any:
    loop = keras.ops.map if how == "map" else keras.ops.vectorized_map
    return keras.ops.swapaxes(loop(net, keras.ops.swapaxes(x, 0, 1)), 0, 1)
