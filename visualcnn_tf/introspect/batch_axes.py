"""Where the batch is in every tensor of a trace, followed through its operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.introspect.batch_axis import BatchAxis, Found, Step
from visualcnn_tf.introspect.batch_axis_table import RULES
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.trace import Trace

# What they return tells sizes, not values.
_SIZES = ("Rank", "Shape", "ShapeN", "Size")


def batch_axes(trace: Trace) -> Found:
    """Return where the batch is in every tensor that an input leads to, None where that is unknown.

    It is worked out once for a trace.
    """
    if trace.batch_axes is None:
        trace.batch_axes = _followed(trace)
    return trace.batch_axes


def has_row_per_example(outputs: Sequence[Any], trace: Trace) -> bool | None:
    """Return whether each of these tensors has the batch first, and one row for each example; None if unknown."""
    found, unknown = batch_axes(trace), False
    for tensor in outputs:
        reference = tensor.ref() if isinstance(tensor, tf.Tensor) else None
        if reference not in found:
            return False
        batch = found[reference]
        if batch is None or batch.inner is None:
            unknown = True
        elif not batch.is_row_per_example:
            return False
    return None if unknown else bool(outputs)


def _followed(trace: Trace) -> Found:
    found: dict[Any, BatchAxis | None] = {tensor.ref(): BatchAxis(0) for tensor in trace.inputs if tensor.shape.rank}
    promised = {call.tensor.ref(): call.input_tensor.ref() for call in trace.calls if _keeps_the_batch(call)}
    for op in trace.inputs[0].graph.get_operations():
        if op.type in _SIZES:
            continue
        data = {index: found[tensor.ref()] for index, tensor in enumerate(op.inputs) if tensor.ref() in found}
        if data:
            for output, batch in zip(op.outputs, _after(op, data, found), strict=True):
                found[output.ref()] = batch or _first(found.get(promised.get(output.ref())))
    return found


def _first(batch: BatchAxis | None) -> BatchAxis | None:
    """Return a batch axis that is the first axis, None for any other."""
    return batch if batch is not None and batch.axis == 0 else None


def _after(op: tf.Operation, data: dict[int, BatchAxis | None], found: Found) -> Sequence[BatchAxis | None]:
    """Return where the batch is in each output of an operation."""
    if op.type == "IdentityN":
        return [data.get(index) for index in range(len(op.outputs))]
    known = {index: batch for index, batch in data.items() if batch is not None}
    rule = RULES.get(op.type)
    is_known = rule is not None and len(known) == len(data) and op.outputs and op.outputs[0].shape.rank is not None
    return [rule(Step(op, known, found)) if rule is not None and is_known else None] * len(op.outputs)


def _keeps_the_batch(call: LayerCall) -> bool:
    """Return whether a call is one of a layer of Keras's own, which keep the batch as it is, on one tensor."""
    is_own = isinstance(call.layer, keras.layers.Layer) and type(call.layer).__module__.startswith("keras.src.layers.")
    has_one = call.tensor is not None and call.input_tensor is not None
    return is_own and has_one and not isinstance(call.layer, keras.layers.Lambda)
