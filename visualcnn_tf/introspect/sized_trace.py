"""Trace a model with every size known, also the batch: what its shapes alone can't tell while they are open."""

from __future__ import annotations

from dataclasses import replace

from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.trace import Trace, trace_model

#: The batch size of the trace: a prime that divides no usual size, so that an axis of a multiple of it holds the batch.
TRIAL_BATCH = 13
# Sizes to try, by the number of spatial axes, where the model leaves them open: large enough that no stage of the
# usual architectures shrinks to nothing, small enough to trace quickly, since only shapes are computed.
_TRIAL_SIZES = {1: (4096, 16384, 512), 2: (256, 224, 512, 128, 64), 3: (64, 128, 32)}


def sized_trace(trace: Trace) -> Trace:
    """Return a trace of the same model in which every size is known, on a batch of ``TRIAL_BATCH`` examples.

    Sizes that the model leaves open are tried. The trace is made once.

    Raises:
        InvalidArgumentError: if the model runs on none of the sizes.
    """
    if trace.sized is None:
        trace.sized = _new_trace(trace)
    return trace.sized


def _new_trace(trace: Trace) -> Trace:
    inputs = trace.model_inputs
    is_open = any(None in spec.shape[1:] for spec in inputs.specs)
    rank = max(len(spec.shape) for spec in inputs.specs)
    sizes = _TRIAL_SIZES.get(max(rank - 2, 1), _TRIAL_SIZES[3]) if is_open else (0,)
    failure: Exception | None = None
    for batch in (TRIAL_BATCH, None):  # some models run on a batch of unknown size only
        for size in sizes:
            try:
                return trace_model(trace.model, _with_sizes(inputs, batch, size))
            except Exception as error:
                failure = error
    raise InvalidArgumentError(
        f"`layers` presets need sizes, and the model runs on none of {sizes}. Name the layers, or pass "
        f"`input_shape` with a size that the model accepts. Received: {trace.model.name!r}."
    ) from failure


def _with_sizes(inputs: ModelInputs, batch: int | None, size: int) -> ModelInputs:
    """Return inputs of a batch size, their own by default, with a size for each axis that has none."""
    specs = [
        replace(spec, shape=(batch or spec.shape[0], *(n or size for n in spec.shape[1:]))) if spec.shape else spec
        for spec in inputs.specs
    ]
    return ModelInputs(inputs.structure, tuple(specs))
