"""A record of every layer's outputs, in the order of the calls: what a replay starts from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import keras

from visualcnn_tf.introspect.record import OutputRecorder

#: A call of a layer: ``id(layer)``, and which of its calls it is.
CallKey: TypeAlias = tuple[int, int]


class CallLog(OutputRecorder):
    """Record what every layer returns, and in which order.

    Args:
        layers: all layers of the model.
        inline: the layers whose ``call`` is a ``tf.function``, see ``introspect.record.recording``.
    """

    def __init__(self, layers: Iterable[keras.Operation], inline: Iterable[keras.Operation]) -> None:
        super().__init__(layers)
        self.inline = list(inline)
        self.order: list[CallKey] = []

    def on_call_end(self, layer: keras.Operation, outputs: Any) -> Any:
        """Note the call."""
        self.order.append((id(layer), len(self.calls[id(layer)])))
        return super().on_call_end(layer, outputs)

    def before(self, key: CallKey) -> dict[CallKey, Any]:
        """Return the outputs of all calls that had ended before a call did."""
        return {key: self.calls[key[0]][key[1]] for key in self.order[: self.order.index(key)]}
