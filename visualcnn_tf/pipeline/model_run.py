"""One run of the user's model, with what its tapped layers returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import keras
import tensorflow as tf

from visualcnn_tf.introspect.fused_blocks import FusedBlock, FusedBlockRecorder
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.record import OutputRecorder, is_recording, recording
from visualcnn_tf.introspect.trace import tf_function_layers
from visualcnn_tf.ops.exporting import is_exporting
from visualcnn_tf.pipeline.call_log import CallLog
from visualcnn_tf.pipeline.plan import Plan
from visualcnn_tf.pipeline.tap import Tap

Record = TypeVar("Record", bound=OutputRecorder, covariant=True)


@dataclass(frozen=True, eq=False)
class ModelRun(Generic[Record]):
    """One run of the model.

    Attributes:
        inputs: what the model took, in its own structure.
        outputs: what it returned, flat.
        layers: all its layers by path.
        record: what the tapped layers returned, call after call; a :class:`CallLog` of all layers where a method needs
            a replay.
    """

    inputs: Any
    outputs: list[tf.Tensor]
    layers: dict[str, keras.Operation]
    record: Record

    def tensors(self, tap: Tap) -> list[tf.Tensor]:
        """Return what is tapped: one tensor, or one for each time step."""
        return tap.outputs_of(self.record.outputs_of(self.layers[tap.path]))


def run_model(
    model: keras.Model, plan: Plan, fused_blocks: Sequence[FusedBlock], inputs: Any, training: bool | None
) -> ModelRun[OutputRecorder]:
    """Run the model once, and record what the taps need."""
    layers = named_layers(model)
    inline = tf_function_layers(model, layers.values())
    record: OutputRecorder
    if any(tap.method.needs_replay for tap in plan.taps):
        record = CallLog(layers, inline, plan.reusable_calls)
    else:
        tapped = {layers[tap.path] for tap in plan.taps}
        # In training, in exported files, and for whoever else may watch the layers, each one runs by itself.
        is_fused = fused_blocks and not (training or is_exporting() or is_recording())
        record = FusedBlockRecorder(tapped, fused_blocks) if is_fused else OutputRecorder(tapped)
    with recording(record, inline=inline):
        outputs = flat_outputs(model(inputs, training=training))
    return ModelRun(inputs, outputs, layers, record)
