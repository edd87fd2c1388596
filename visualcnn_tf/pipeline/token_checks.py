"""Refuse tokens from whose positions nothing leads to the score that is explained."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from visualcnn_tf.errors import NoGradientError, VisualCNNError
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.sized_trace import has_open_sizes, sized_trace
from visualcnn_tf.introspect.tokens.reach import PositionReach
from visualcnn_tf.introspect.trace import Trace


def check_positions_reach(trace: Trace, call: LayerCall, score_in: Callable[[Trace], tf.Tensor]) -> None:
    """Raise if the score depends on no token of a call that stands for a position.

    So it is after the last attention of a model that reads its class token alone.

    Args:
        trace: of the model.
        call: whose output is tapped.
        score_in: makes the score that is explained, in a trace of the model.

    Raises:
        NoGradientError: if nothing of the positions reaches the score.
    """
    if call.tokens is None:
        return
    score = score_in(trace)
    reach = PositionReach(call.tensor, call.tokens)
    sized = None if reach.is_certain or not reach.depends(score) else _in_sized_trace(trace, call)
    if sized is not None:  # where the number of examples is known, more operations can be followed
        score = score_in(sized[0])
        reach = PositionReach(sized[1].tensor, call.tokens)
    if not reach.depends(score):
        raise NoGradientError(
            "`layers` must select tokens that reach the score, for methods that explain a target. Received: "
            f"{call.path!r}, whose tokens of the image reach nothing: after it only other tokens are read, such as a "
            "class token. Select a layer before the last attention; `layers='last'` finds one."
        )


def _in_sized_trace(trace: Trace, call: LayerCall) -> tuple[Trace, LayerCall] | None:
    if has_open_sizes(trace.model_inputs):
        return None
    try:
        sized = sized_trace(trace)
    except VisualCNNError:
        return None
    same = sized.same_call(call)
    if same is None or same.tensor is None:
        return None
    return sized, same
