"""Windows of tokens: what is merged into the batch otherwise than in every convolution, and is no map of the image."""

from __future__ import annotations

from collections.abc import Sequence

from visualcnn_tf.introspect.batch_axes import batch_axes
from visualcnn_tf.introspect.batch_axis import BatchAxis
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import CONV_LAYERS
from visualcnn_tf.introspect.trace import Trace


def outside_windows(trace: Trace, calls: Sequence[LayerCall]) -> list[LayerCall]:
    """Return the calls with rows for examples or, where convolutions run on views or patches of them, for these."""
    convolutions = [call for call in trace.calls if isinstance(call.layer, CONV_LAYERS) and call.is_tappable]
    known = {BatchAxis(0), trace.inputs[0].shape[0], *(_rows(trace, call) for call in convolutions)}
    known.update(call.shape[0] for call in convolutions)
    return [call for call in calls if _rows(trace, call) in known]


def _rows(trace: Trace, call: LayerCall) -> BatchAxis | int | None:
    """Return how the rows of an output belong to examples; their number, where operations do not tell."""
    batch = batch_axes(trace).get(call.tensor.ref(), BatchAxis(-1))
    return call.shape[0] if batch is None else batch
