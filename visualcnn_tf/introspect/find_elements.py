"""Find out whether a feature map has one row for each example, or elements of them merged into the batch."""

from __future__ import annotations

from visualcnn_tf.errors import InvalidArgumentError, NoFeatureMapError
from visualcnn_tf.introspect.batch_axes import batch_axes
from visualcnn_tf.introspect.batch_axis import BatchAxis
from visualcnn_tf.introspect.element_probe import probe
from visualcnn_tf.introspect.elements import Elements
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.sized_trace import TRIAL_BATCH, sized_trace
from visualcnn_tf.introspect.trace import Trace

_NOT_FIRST = "the batch is not its first axis, or it is the same for every batch; put the batch first"
_MIXED = (
    "nothing tells which rows of it belong to which example; put the batch first, and elements of each example after "
    "it, (batch, elements, ...), or merge them by one reshape"
)


def elements_of(call: LayerCall, trace: Trace) -> Elements | None:
    """Return how elements of each example are merged into the batch of a call's output; None if they are not.

    The operations that lead to the output tell it. Where they do not, a trace on a batch of known size does and, for
    merged elements, a run on random values.

    Raises:
        NoFeatureMapError: if the batch is not the first axis, or its rows can't be told apart.
    """
    found = batch_axes(trace)
    reference = call.tensor.ref()
    if reference not in found:
        raise _refused(call, _NOT_FIRST)
    batch = found[reference] or _measured(call, trace)
    if batch.axis:
        raise _refused(call, _NOT_FIRST)
    if batch.inner is None:
        batch = _counted(batch, call, trace)
    if batch.is_row_per_example:
        return None
    if call.time_steps is not None or call.returns_sequence:
        raise _refused(call, "it has time steps, and elements of each example are merged into its batch")
    return Elements(batch.outer, batch.inner)


def _refused(call: LayerCall, reason: str) -> NoFeatureMapError:
    return NoFeatureMapError(f"`layers` can't tap {call.path!r} with output {call.shape}: {reason}.")


def _rows_by_shape(call: LayerCall, trace: Trace) -> int | None:
    """Return the number of rows for each example in a trace on a batch of known size; None if there is no such trace.

    Raises:
        NoFeatureMapError: if the rows are no multiple of the batch.
    """
    try:
        sized = sized_trace(trace)
    except InvalidArgumentError:
        return None
    same = sized.same_call(call)
    rows = same.shape[0] if same is not None and same.shape else None
    if rows is None or any(tensor.shape[:1] != [TRIAL_BATCH] for tensor in sized.inputs):
        return None
    if not rows or rows % TRIAL_BATCH:
        raise _refused(call, _NOT_FIRST)
    return int(rows) // TRIAL_BATCH


def _counted(batch: BatchAxis, call: LayerCall, trace: Trace) -> BatchAxis:
    """Return a batch axis with the number of its rows for each example, where that is the same for all sizes."""
    rows = _rows_by_shape(call, trace)
    if rows is None or batch.outer is None:
        return batch
    if rows == batch.outer or not _has_open_sizes(trace):
        return BatchAxis(0, batch.outer, rows // batch.outer)
    return batch


def _measured(call: LayerCall, trace: Trace) -> BatchAxis:
    """Return the batch axis of an output of which the operations do not tell it."""
    takes_one = all(tensor.shape.rank and tensor.shape[0] == 1 for tensor in trace.inputs)
    if (takes_one and call.shape[:1] == (1,)) or _rows_by_shape(call, trace) == 1:
        return BatchAxis(0)
    batch = _probed(call, trace)
    if batch is None:
        raise _refused(call, _MIXED)
    if not _has_open_sizes(trace) or batch.is_row_per_example:
        return batch
    if 1 not in (batch.outer, batch.inner):
        raise _refused(call, _MIXED)
    return BatchAxis(0, 1, None) if batch.outer == 1 else BatchAxis(0, None, 1)


def _probed(call: LayerCall, trace: Trace) -> BatchAxis | None:
    try:
        specs = sized_trace(trace).model_inputs.specs
        return probe(call, trace, specs)
    except Exception:  # whatever the model raises on random values: then nothing is known
        return None


def _has_open_sizes(trace: Trace) -> bool:
    return any(None in spec.shape[1:] for spec in trace.model_inputs.specs)
