"""Plan: what an explained model reads and returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.pipeline.outputs import OutputKind, OutputSpec
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.pixels.pixels import Pixels


@dataclass(frozen=True)
class Plan:
    """What an explained model reads and returns.

    Attributes:
        inputs: what the model takes.
        taps: in the order of their heatmaps.
        outputs: every output, in order.
        weights: of each tap in the combined heatmap, or None.
        output_index: which of the model's own outputs, flat, is explained; None when no method explains a target.
        class_index: name of the input that asks for a class, or None.
        fallbacks: type and name of each operation whose gradient is TensorFlow's own, not a rule of this package:
            TensorFlow Lite may lack it.
        fused_blocks: the paths of layers that lead to a tap and are compiled as one, see ``introspect.fused_blocks``.
        reusable_calls: path and index of each call of a layer that a replay may take the outputs of, see
            ``introspect.reusable_calls``.
        pixels: what the model's image input takes, or None if that is not known.
    """

    inputs: ModelInputs
    taps: tuple[Tap, ...]
    outputs: tuple[OutputSpec, ...]
    weights: tuple[float, ...] | None = None
    output_index: int | None = None
    class_index: str | None = None
    fallbacks: tuple[tuple[str, str], ...] = ()
    fused_blocks: tuple[tuple[str, ...], ...] = ()
    reusable_calls: frozenset[tuple[str, int]] = frozenset()
    pixels: Pixels | None = None

    def names(self, *kinds: OutputKind) -> list[str]:
        """Return the keys of the outputs of some kinds, in order."""
        return [output.name for output in self.outputs if output.kind in kinds]

    @property
    def classes(self) -> str | None:
        """Key of the output that tells the explained classes, or None."""
        return next(iter(self.names("classes")), None)

    @property
    def class_count(self) -> int | None:
        """How many classes the explained output has, or the only one; None where that is unknown."""
        own = [output.shape for output in self.outputs if output.kind == "model"]
        index = 0 if len(own) == 1 else self.output_index
        if index is None or len(own[index]) != 2:
            return None
        return 2 if own[index][1] == 1 else own[index][1]  # a single score is that of one class of two

    @property
    def explains_target(self) -> bool:
        """Whether any method explains a target."""
        return self.output_index is not None

    @property
    def needs_graph(self) -> bool:
        """Whether the operations of the model are read: by the backward pass from a score, or to follow positions."""
        return self.explains_target or any(tap.has_open_region for tap in self.taps)

    @property
    def all_inputs(self) -> ModelInputs:
        """What the explained model takes: the model's inputs and, if a class can be asked for, its index."""
        return self.inputs if self.class_index is None else self.inputs.with_class_index(self.class_index)

    def split(self, inputs: Any) -> tuple[Any, Any]:
        """Return what the model takes, and the class index or None, of what the explained model was given.

        The class index is an entry of a dict, or the last one of a list.
        """
        if self.class_index is None:
            return inputs, None
        if not isinstance(inputs, Mapping):
            return (_unwrapped(inputs[:-1]), inputs[-1]) if self._ends_in_class_index(inputs) else (inputs, None)
        given = {name: tensor for name, tensor in inputs.items() if name != self.class_index}
        if set(given) == set(self.inputs.names):
            given = self.inputs.pack(self.inputs.flatten(given))
        return given, inputs.get(self.class_index)

    def standardize(self, inputs: Any) -> Any:
        """Return checked tensors or arrays in the structure and of the ranks that the explained model takes."""
        given, class_index = self.split(inputs)
        given = self.inputs.standardize(given)
        return given if class_index is None else self.join(given, class_index)

    def join(self, inputs: Any, class_index: Any) -> Any:
        """Return a dict by name of what the model takes and the class index."""
        named = dict(zip(self.inputs.names, self.inputs.flatten(inputs), strict=True))
        return {**named, str(self.class_index): class_index}

    def _ends_in_class_index(self, inputs: Any) -> bool:
        if not isinstance(inputs, (list, tuple)):
            return False
        count = len(self.inputs.specs)
        return len(inputs) == count + 1 or (len(inputs) == 2 and len(keras.tree.flatten(inputs[0])) == count)


def _unwrapped(inputs: Sequence[Any]) -> Any:
    return inputs[0] if len(inputs) == 1 else inputs
