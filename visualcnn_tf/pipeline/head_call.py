"""The layer that makes the scores of a detector's dense head, for methods that read these."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.errors import NoFeatureMapError
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.introspect.upstream import is_upstream
from visualcnn_tf.methods.base import Method
from visualcnn_tf.pipeline.explained_output import ExplainedOutput
from visualcnn_tf.targets.detections.dense_head import find_dense_head
from visualcnn_tf.targets.detections.detections import Detections


def find_head_call(trace: Trace, explained: ExplainedOutput, method: Method) -> LayerCall:
    """Return the call of the layer that makes the scores of the finest level of the dense head.

    Raises:
        InvalidArgumentError: for a target that is no box.
        NoFeatureMapError: for a model without a dense head.
    """
    if not isinstance(explained.read, Detections):
        raise bad_value(
            "target", f"a box with `method`={method.name!r}", explained.target, "Use `vc.targets.Box('best')`."
        )
    with explained.tensor.graph.as_default():
        head = find_dense_head(explained.read)
    call = None if head is None else _maker(trace, head.levels[0])
    if call is None or call.data_format == "channels_first":
        raise NoFeatureMapError(
            f"`method`={method.name!r} needs a dense head: scores of classes that come from maps (B, h, w, A·K). "
            f"Received: {trace.model.name!r}, whose output {explained.name!r} does not. Use 'hirescam'."
        )
    return call


def _maker(trace: Trace, level: tf.Tensor) -> LayerCall | None:
    """Return the call that returned a map, or the first one that ended after it was made, of the same size."""
    usable = [call for call in trace.calls if call.is_tappable and call.tensor.shape[1:3] == level.shape[1:3]]
    exact = [call for call in usable if call.tensor is level]
    later = (call for call in usable if is_upstream(level, call.tensor))
    return exact[0] if exact else next(later, None)
