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
from visualcnn_tf.targets.inputs import TargetInput


@dataclass(frozen=True)
class Plan:
    """What an explained model reads and returns.

    Attributes:
        inputs: what the model takes.
        taps: in the order of their heatmaps.
        outputs: every output, in order.
        weights: of each tap in the combined heatmap, or None.
        output_index: which of the model's own outputs, flat, is explained; None when no method explains a target.
        target_inputs: what the explained model takes beside these inputs, as the target asks for it, in the order of
            ``Target.inputs``; under names that the model's own inputs leave free.
        class_axis: which axis of the explained output is that of the classes, or None.
        may_explain_nothing: whether an image may hold nothing of what is asked for; its heatmaps are all zeros then.
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
    target_inputs: tuple[TargetInput, ...] = ()
    class_axis: int | None = None
    may_explain_nothing: bool = False
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
        if self.names("report"):  # of a detector: no output has one score for each class
            return None
        own = [output.shape for output in self.outputs if output.kind == "model"]
        index = 0 if len(own) == 1 else self.output_index
        if index is None or (len(own[index]) != 2 and self.class_axis is None):
            return None
        count = own[index][1 if self.class_axis is None else self.class_axis]
        return 2 if count == 1 else count  # a single score is that of one class of two

    @property
    def explains_target(self) -> bool:
        """Whether any method explains a target."""
        return self.output_index is not None

    @property
    def needs_graph(self) -> bool:
        """Whether the operations of the model are read: by the backward pass, for attention, or to follow positions."""
        return self.explains_target or any(tap.has_open_region or tap.method.needs_attention for tap in self.taps)

    @property
    def all_inputs(self) -> ModelInputs:
        """What the explained model takes: the model's inputs and those of the target."""
        return self.inputs.with_more(one.spec for one in self.target_inputs) if self.target_inputs else self.inputs

    def split(self, inputs: Any) -> tuple[Any, dict[str, Any]]:
        """Return what the model takes, and by name what was given for the target's inputs.

        These are entries of a dict, any of which may be missing, or all of them the last ones of a list.
        """
        names = [one.name for one in self.target_inputs]
        if isinstance(inputs, Mapping) and names:
            given = {name: tensor for name, tensor in inputs.items() if name not in names}
            if set(given) == set(self.inputs.names):
                given = self.inputs.pack(self.inputs.flatten(given))
            return given, {name: inputs[name] for name in names if inputs.get(name) is not None}
        if names and self._ends_in_target_inputs(inputs):
            count = len(names)
            return _unwrapped(inputs[:-count]), dict(zip(names, inputs[-count:], strict=True))
        return inputs, {}

    def standardize(self, inputs: Any) -> Any:
        """Return checked tensors or arrays in the structure and of the ranks that the explained model takes."""
        given, asked = self.split(inputs)
        given = self.inputs.standardize(given)
        return self.join(given, asked) if asked else given

    def join(self, inputs: Any, asked: Mapping[str, Any]) -> Any:
        """Return a dict by name of what the model takes and what the target's inputs get."""
        return {**dict(zip(self.inputs.names, self.inputs.flatten(inputs), strict=True)), **asked}

    def _ends_in_target_inputs(self, inputs: Any) -> bool:
        if not isinstance(inputs, (list, tuple)):
            return False
        count, more = len(self.inputs.specs), len(self.target_inputs)
        is_nested = len(inputs) == 1 + more and len(keras.tree.flatten(inputs[0])) == count
        return len(inputs) == count + more or is_nested


def _unwrapped(inputs: Sequence[Any]) -> Any:
    return inputs[0] if len(inputs) == 1 else inputs
