"""Trace a model with every size known, also the batch: what its shapes alone can't tell while they are open."""

from __future__ import annotations

from dataclasses import replace

from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs
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


def has_open_sizes(inputs: ModelInputs) -> bool:
    """Return whether sizes of the model's maps may be unknown; the length of a text beside a known image is none."""
    return any(None in spec.shape[1:] for spec in _images(inputs))


def _images(inputs: ModelInputs) -> list[ModelInput]:
    """Return the inputs of as many axes as an image of known size or, if there is none, all."""
    ranks = {len(spec.shape) for spec in inputs.specs if len(spec.shape) > 2 and None not in spec.shape[1:]}
    return [spec for spec in inputs.specs if not ranks or len(spec.shape) in ranks]


def _new_trace(trace: Trace) -> Trace:
    inputs = trace.model_inputs
    rank = max(len(spec.shape) for spec in _images(inputs))
    sizes = _TRIAL_SIZES.get(max(rank - 2, 1), _TRIAL_SIZES[3]) if has_open_sizes(inputs) else (0,)
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
    """Return inputs of a batch size, their own by default, with a size for each axis of images that has none."""
    images = _images(inputs)

    def sized(spec: ModelInput) -> ModelInput:
        sizes = (n or size for n in spec.shape[1:]) if spec in images else spec.shape[1:]
        return replace(spec, shape=(batch or spec.shape[0], *sizes)) if spec.shape else spec

    specs = [sized(spec) for spec in inputs.specs]
    return ModelInputs(inputs.structure, tuple(specs))
