"""Mark the calls of a trace that return tokens with their grid, and those that return no map at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tensorflow as tf

from visualcnn_tf.errors import VisualCNNError
from visualcnn_tf.introspect.geometry.axes import Axes
from visualcnn_tf.introspect.geometry.control_flow import State
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.sized_trace import has_open_sizes, sized_trace
from visualcnn_tf.introspect.tokens.find import grid_of_tokens, have_same_positions, shown_axes
from visualcnn_tf.introspect.tokens.grid import TokenGrid
from visualcnn_tf.introspect.trace import Trace

#: Why a call can't be tapped whose output has tokens along one axis and heads, or other tokens, along another.
NO_MAP = "its axes are those of tokens and heads, or of tokens twice, not those of an image; name a layer of tokens"
_RANK_OF_TOKENS = 3


def mark_tokens(trace: Trace) -> None:
    """Mark each call that returns tokens with their grid, where it can be found in the trace.

    Calls inside attention that return queries, keys or weights by heads are marked as untappable.
    """
    calls = list(filter(_may_hold_tokens, trace.calls))
    if not any(map(_is_row, calls)):
        return
    unclear = [call for call in calls if not _marked(call, [call], trace)]
    # Where sizes depend on the number of examples, a trace in which that is known tells more.
    sized = _sized(trace) if any(map(_is_row, unclear)) else None
    if sized is not None:
        _mark_by(sized, unclear)


def _mark_by(trace: Trace, calls: Iterable[LayerCall]) -> None:
    """Mark calls, and the same in another trace, by what these show there."""
    others = {(call.path, call.index): call for call in trace.calls if call.tensor is not None}
    for call in calls:
        same = others.get((call.path, call.index))
        if same is not None:
            _marked(same, [same, call], trace)


def _is_row(call: LayerCall) -> bool:
    return len(call.shape) == _RANK_OF_TOKENS


def _marked(call: LayerCall, same: Sequence[LayerCall], trace: Trace) -> bool:
    """Mark calls by what one of them shows in a trace; return whether nothing more can be known of it."""
    states = [trace.states(index).get(call.tensor.ref()) for index in range(len(trace.inputs))]
    followed = {index: state for index, state in enumerate(states) if isinstance(state, tuple)}
    if any(_is_no_map(axes, trace.inputs[index], call) for index, axes in followed.items()):
        for one in same:
            one.untappable_because = NO_MAP
    elif _is_row(call) and call.shape[1] is not None:
        grid = _grid(followed.values(), call.shape[1])
        for one in same if grid else ():
            one.tokens, one.data_format = grid, "channels_last"
    return _is_clear(states, call)


def _grid(followed: Iterable[Axes], count: int) -> TokenGrid | None:
    """Return the grid of tokens of the input that they have most axes of."""
    found = [grid for axes in followed if (grid := grid_of_tokens(axes, count)) is not None]
    return max(found, key=lambda grid: len(grid.shape), default=None)


def _is_no_map(axes: Axes, source: tf.Tensor, call: LayerCall) -> bool:
    """Return whether an output has tokens along two axes, or along one beside others, such as that of heads."""
    if _is_row(call):
        return have_same_positions(axes[1], axes[2])
    is_first = call.data_format == "channels_first"
    channels = 1 if is_first else source.shape.rank - 1
    return any(len(shown_axes(axis) - {channels}) > 1 for axis in (axes[2:] if is_first else axes[1:-1]))


def _is_clear(states: Iterable[State | None], call: LayerCall) -> bool:
    """Return whether all that an output shows of the inputs is known."""
    is_followed = all(state is None or isinstance(state, tuple) for state in states)
    return is_followed and (call.tokens is not None or call.shape[1] is not None)


def _may_hold_tokens(call: LayerCall) -> bool:
    """Return whether an output may be tokens, or what attention makes of them."""
    if call.tensor is None or call.untappable_because or call.returns_sequence:
        return False
    return len(call.shape) >= _RANK_OF_TOKENS and call.tensor.dtype.is_floating


def _sized(trace: Trace) -> Trace | None:
    """Return a trace of the model in which the number of examples is known; None if other sizes had to be tried."""
    if has_open_sizes(trace.model_inputs) or trace.inputs[0].shape[0] is not None:
        return None
    try:
        return sized_trace(trace)
    except VisualCNNError:
        return None
