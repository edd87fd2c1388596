"""A record of every layer's outputs, in the order of the calls: what a replay starts from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import keras

from visualcnn_tf.introspect.record import OutputRecorder

#: A call of a layer: ``id(layer)``, and which of its calls it is.
CallKey: TypeAlias = tuple[int, int]


class CallLog(OutputRecorder):
    """Record what every layer returns, in which order, and which layers run inside of which.

    Args:
        layers: all layers of the model by path.
        inline: the layers whose ``call`` is a ``tf.function``, see ``introspect.record.recording``.
        reusable_calls: path and index of the calls whose outputs may stand for a call on repeated examples, once these
            are repeated, too.
    """

    def __init__(
        self,
        layers: Mapping[str, keras.Operation],
        inline: Iterable[keras.Operation],
        reusable_calls: Iterable[tuple[str, int]],
    ) -> None:
        super().__init__(layers.values())
        self.inline = list(inline)
        self.reusable = {(id(layers[path]), index) for path, index in reusable_calls}
        self.order: list[CallKey] = []
        # Of each call: where in `order` the calls start that it makes, and where they end, itself included.
        self._spans: dict[CallKey, tuple[int, int]] = {}
        self._open: list[int] = []

    def on_call_begin(self, layer: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note where the calls that this one makes start."""
        self._open.append(len(self.order))

    def on_call_end(self, layer: keras.Operation, outputs: Any) -> Any:
        """Note the call."""
        key = (id(layer), len(self.calls[id(layer)]))
        self.order.append(key)
        self._spans[key] = (self._open.pop(), len(self.order))
        return super().on_call_end(layer, outputs)

    def reusable_before(self, key: CallKey) -> dict[CallKey, Any]:
        """Return the outputs of the calls that had ended before a call did, as far as they may be reused."""
        ended = self.order[: self._spans[key][1] - 1]
        return {key: self.calls[key[0]][key[1]] for key in ended if key in self.reusable}

    def made_by(self, key: CallKey) -> Sequence[CallKey]:
        """Return the calls that a call made, itself included."""
        start, end = self._spans[key]
        return self.order[start:end]
