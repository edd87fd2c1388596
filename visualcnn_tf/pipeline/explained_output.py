"""What a target explains of a model's outputs, in the record of the trial run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import tensorflow as tf

from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.targets.base import Target
from visualcnn_tf.targets.graph_scores import Scores


@dataclass(frozen=True, eq=False)
class ExplainedOutput:
    """The output of a model that is explained.

    Attributes:
        target: what is explained.
        outputs: all outputs of the model by name, tensors of the traced graph.
        name: the name of the one that is explained.
    """

    target: Target
    outputs: Mapping[str, tf.Tensor]
    name: str

    @property
    def tensor(self) -> tf.Tensor:
        """The output itself."""
        return self.outputs[self.name]

    @property
    def index(self) -> int:
        """Which of the outputs it is."""
        return list(self.outputs).index(self.name)

    def in_trace(self, trace: Trace) -> ExplainedOutput:
        """Return the same output in another trace of the model."""
        return ExplainedOutput(
            self.target, dict(zip(self.outputs, flat_outputs(trace.outputs), strict=True)), self.name
        )

    @cached_property
    def read(self) -> Any:
        """What the target takes."""
        with self.tensor.graph.as_default():
            return self.target.read(self.outputs, self.name)

    @cached_property
    def scores(self) -> Scores:
        """The scores where none of the target's inputs asks for anything."""
        with self.tensor.graph.as_default():
            count, inputs = tf.shape(self.tensor)[0], self.target.inputs_of(self.read)
            return self.target.scores(self.read, {one.name: one.none_for(count) for one in inputs})


def find_explained_output(trace: Trace, names: Sequence[str], asked: str | None, target: Target) -> ExplainedOutput:
    """Return the output that a target explains.

    Args:
        trace: of the model.
        names: of its outputs, flat.
        asked: the name that was asked for, or None.
        target: what is explained.

    Raises:
        InvalidArgumentError: for a name that is not among them, or where it is not certain which one it is.
    """
    outputs = dict(zip(names, flat_outputs(trace.outputs), strict=True))
    with trace.inputs[0].graph.as_default():
        return ExplainedOutput(target, outputs, target.output_name(outputs, asked))
