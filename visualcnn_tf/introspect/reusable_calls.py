"""Which calls of layers return one row for each example: only these can be repeated with the examples of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.introspect.batch_axes import has_row_per_example
from visualcnn_tf.introspect.sized_trace import TRIAL_BATCH, sized_trace
from visualcnn_tf.introspect.trace import Trace


def reusable_calls(trace: Trace) -> frozenset[tuple[str, int]]:
    """Return path and index of each call whose outputs all have the batch first, and one row for each example.

    Where the operations do not tell, the sizes on a batch of known size do. Others, such as windows of maps, patches
    that were merged into the batch, or tables of positions, have to be computed anew for another batch.
    """
    calls = {(call.path, call.index): call for call in trace.calls if not call.is_out_of_reach}
    found = {key: has_row_per_example(call.outputs, trace) for key, call in calls.items()}
    if None not in found.values():
        return frozenset(key for key, is_reusable in found.items() if is_reusable)
    by_size = _calls_with_trial_batch(trace)
    return frozenset(key for key, known in found.items() if known or (known is None and key in by_size))


def has_trial_batch(outputs: Sequence[Any]) -> bool:
    """Return whether each of these outputs has as many rows as the batch of the trace of known sizes."""
    return all(isinstance(one, tf.Tensor) and one.shape.rank and one.shape[0] == TRIAL_BATCH for one in outputs)


def runs_on_any_batch(trace: Trace) -> bool:
    """Return whether a model that asks for a batch of one size also takes another."""
    return None in {tensor.shape[0] for tensor in trace.inputs} or has_trial_batch(sized_trace(trace).inputs)


def _calls_with_trial_batch(trace: Trace) -> set[tuple[str, int]]:
    try:
        calls = sized_trace(trace).calls
    except InvalidArgumentError:  # on no size that was tried: then nothing is known
        return set()
    return {(call.path, call.index) for call in calls if has_trial_batch(call.outputs)}
