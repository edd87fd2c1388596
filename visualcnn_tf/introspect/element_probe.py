"""Find out by two runs which rows of a layer's output belong to which example."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from visualcnn_tf.introspect.batch_axis import BatchAxis
from visualcnn_tf.introspect.inputs import ModelInput
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.record import OutputRecorder, recording
from visualcnn_tf.introspect.trace import Trace, tf_function_layers

# So few examples cost little, and neither the first nor the last one is changed.
_EXAMPLES, _CHANGED = 3, 1
_SMALLEST_CHANGE = 1e-6


def probe(call: LayerCall, trace: Trace, specs: Sequence[ModelInput]) -> BatchAxis | None:
    """Return how the rows of a call's output belong to examples; None if no pattern fits or several do.

    The model runs on random values, then with another example in the middle.

    Args:
        call: a call in the trace.
        trace: of the model.
        specs: the model's inputs, with every size known but that of the batch.
    """
    rng = np.random.default_rng(0)
    inputs = [_random(rng, spec) for spec in specs]
    others = [_random(rng, spec) for spec in specs]
    changed = [_with_one_changed(x, y) for x, y in zip(inputs, others, strict=True)]
    signature = [tf.TensorSpec((None, *spec.shape[1:]), spec.dtype) for spec in specs]
    run = tf.function(_output_of(call, trace), signature, autograph=False)
    before, after = (run(*map(tf.constant, tensors)).numpy() for tensors in (inputs, changed))
    if not before.ndim or len(before) % _EXAMPLES:
        return None
    return _pattern(_changed_rows(before, after), len(before) // _EXAMPLES)


def _random(rng: np.random.Generator, spec: ModelInput) -> np.ndarray:
    """Return random examples for an input; integers are 0 and 1, which every vocabulary has."""
    size = (_EXAMPLES, *(n or 1 for n in spec.shape[1:]))
    values = rng.random(size) if tf.as_dtype(spec.dtype).is_floating else rng.integers(0, 2, size)
    return np.asarray(values.astype(tf.as_dtype(spec.dtype).as_numpy_dtype))


def _with_one_changed(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[_CHANGED] = others[_CHANGED]
    return changed


def _output_of(call: LayerCall, trace: Trace) -> Callable[..., tf.Tensor]:
    """Return a function from the model's inputs, flat, to what a call returns."""
    model, inputs = trace.model, trace.model_inputs

    def run(*tensors: tf.Tensor) -> tf.Tensor:
        record = OutputRecorder([call.layer])
        with recording(record, inline=tf_function_layers(model, trace.layers.values())):
            model(inputs.pack(tensors), training=False)
        return record.outputs_of(call.layer)[call.index]

    return run


def _changed_rows(before: np.ndarray, after: np.ndarray) -> set[int]:
    before, after = (np.nan_to_num(values.astype(np.float64)).reshape(len(values), -1) for values in (before, after))
    difference = np.abs(before - after).max(1, initial=0.0)
    scale = np.abs(before).max(initial=0.0)
    return set(np.flatnonzero(difference > _SMALLEST_CHANGE * scale).tolist())


def _pattern(rows: set[int], count: int) -> BatchAxis | None:
    """Return the only way to arrange ``count`` rows of each example in which none but the changed example's change."""
    fitting = []
    for inner in (n for n in range(1, count + 1) if count % n == 0):
        outer = count // inner
        of_example = {(o * _EXAMPLES + _CHANGED) * inner + i for o in range(outer) for i in range(inner)}
        if rows and rows <= of_example:
            fitting.append(BatchAxis(0, outer, inner))
    return fitting[0] if len(fitting) == 1 else None
