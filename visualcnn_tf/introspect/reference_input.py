"""Which input feature maps are a picture of, and which part of it they cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.errors import VisualCNNError
from visualcnn_tf.introspect.geometry.control_flow import State, Untraceable
from visualcnn_tf.introspect.geometry.follow import follow
from visualcnn_tf.introspect.geometry.numbers import Number
from visualcnn_tf.introspect.geometry.part import Part, part_of
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.sized_trace import sized_trace
from visualcnn_tf.introspect.tokens.grid import TokenGrid
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.ops.place import Region

# What sorts inputs with other axes than those of a map and its channels behind the others.
_MORE_AXES = 2


@dataclass(frozen=True)
class View:
    """What feature maps are a picture of.

    Attributes:
        input_index: which input of the model, or None if there is none.
        axes: the axes of that input that the map's spatial axes show, in ascending order.
        region: the part of the input that the map covers; None for all of it.
        is_open: whether the part depends on sizes that are known when the model runs only.
        moved_by: the operation after which positions can't be followed, or "".
    """

    input_index: int | None = None
    axes: tuple[int, ...] = ()
    region: Region | None = None
    is_open: bool = False
    moved_by: str = ""


class Positions:
    """What the feature maps of a model show of its inputs.

    Args:
        trace: of the model.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._views: dict[LayerCall, View] = {}

    def view(self, call: LayerCall) -> View:
        """Return what the feature maps of a call are a picture of."""
        if call not in self._views:
            self._views[call] = self._new_view(call)
        return self._views[call]

    def are_lost(self, call: LayerCall) -> bool:
        """Return whether everything that a call sees went through a tensor without positions."""
        return not any(self._has_positions(call, index) for index in range(len(self.trace.inputs)))

    def _has_positions(self, call: LayerCall, index: int) -> bool:
        trace, same_call = self._followed(call, index)
        return _has_positions(self._state(same_call, index, trace), call, len(trace.inputs[index].shape))

    def _new_view(self, call: LayerCall) -> View:
        parts = {index: self._part(call, index) for index in range(len(self.trace.inputs))}
        seen = {index: part for index, part in parts.items() if part is not None}
        if not seen:
            return self._view_without_positions(call)
        if call.elements is not None and len(seen) > 1:  # some elements may be of one input, some of another
            seen = {index: part for index, part in seen.items() if self._has_elements(call, index)}
        if not seen:
            return View()
        index = min(seen, key=lambda index: self._rank_of_choice(call, index))
        return self._view_of(seen[index], index)

    def _view_of(self, part: Part, index: int) -> View:
        """Return the view of a part of an input."""
        axes = tuple(sorted(part.axes))
        if part.moved_by:
            return View(index, axes, moved_by=part.moved_by)
        region = part.region() if part.is_known else None
        # The sizes that a subclassed model was built on are not those of every call.
        is_fixed = self.trace.model_inputs.specs[index].fixed
        is_open = not part.is_known or (region is not None and not is_fixed)
        return View(index, axes, None if is_open else region, is_open)

    def _part(self, call: LayerCall, index: int) -> Part | None:
        """Return the part of an input that a call shows, by known numbers where its size is known."""
        trace, same_call = self._followed(call, index)
        part = _part(self._state(same_call, index, trace), same_call)
        if part is None or self._is_row_of_patches(part, call, index):
            return None
        if not self._has_open_sizes(index):
            return part if part.is_known else self._with_values(part, call, index)
        # With sizes that were tried, no more is known than whether the part is all of the input.
        is_certain = trace is self.trace or (part.is_known and part.region() is None)
        return part if is_certain else None

    def _is_row_of_patches(self, part: Part, call: LayerCall, index: int) -> bool:
        """Return whether maps with fewer axes than the input are tokens that a reshape has made of it."""
        return part.has_blocks and self._rank_of_choice(call, index)[0] == _MORE_AXES

    def _with_values(self, part: Part, call: LayerCall, index: int) -> Part:
        """Return a part with the numbers that it has in the trace in which every size is known, if they are."""
        sized = self._in_sized_trace(call)
        if sized is None:
            return part
        trace, same_call = sized
        found = _part(self._state(same_call, index, trace), same_call)
        numbers = None if found is None else _values([n for ends in found.box for n in ends], trace)
        return part if found is None or numbers is None else found.with_box(numbers)

    def _followed(self, call: LayerCall, index: int) -> tuple[Trace, LayerCall]:
        """Return the trace in which a call can be followed to an input, and that call in it."""
        if not isinstance(self._state(call, index), Untraceable):
            return self.trace, call
        # Sizes that depend on the number of examples are known only if that is.
        return self._in_sized_trace(call) or (self.trace, call)

    def _has_open_sizes(self, index: int) -> bool:
        return None in tuple(self.trace.inputs[index].shape)[1:]

    def _in_sized_trace(self, call: LayerCall) -> tuple[Trace, LayerCall] | None:
        """Return the trace in which every size is known, and the same call in it."""
        try:
            trace = sized_trace(self.trace)
        except VisualCNNError:
            return None
        found = trace.same_call(call)
        return None if found is None or found.tensor is None else (trace, found)

    def _view_without_positions(self, call: LayerCall) -> View:
        """Return the view of maps that are stretched over an input, because their positions are lost or not known."""
        axes = {index: self._stretched_axes(call, index) for index in self._stretched_over(call)}
        fitting = [index for index in axes if axes[index]]
        if not fitting:
            return View()
        index = min(fitting, key=lambda index: self._rank_of_choice(call, index))
        state = self._state(call, index)
        is_known = call.tokens is not None or not self._has_positions(call, index)
        moved_by = state.by if isinstance(state, Untraceable) and not is_known else ""
        return View(index, axes[index], moved_by=moved_by)

    def _stretched_over(self, call: LayerCall) -> list[int]:
        """Return the inputs whose positions can't be followed or, if no positions are left of any, all upstream.

        Tokens that can't be followed are those whose grid the user has given: all upstream, too.
        """
        upstream = [index for index in range(len(self.trace.inputs)) if self._state(call, index) is not None]
        with_positions = [index for index in upstream if self._has_positions(call, index)]
        unknown = [index for index in with_positions if isinstance(self._state(call, index), Untraceable)]
        return unknown if with_positions and call.tokens is None else upstream

    def _stretched_axes(self, call: LayerCall, index: int) -> tuple[int, ...]:
        return _spatial_axes_of_input(call, tuple(self.trace.inputs[index].shape))

    def _has_elements(self, call: LayerCall, index: int) -> bool:
        """Return whether an input ``(B, V, ...)`` has as many elements as feature maps that are merged from some."""
        return call.elements is not None and self.trace.inputs[index].shape[1] == call.elements.count

    def _rank_of_choice(self, call: LayerCall, index: int) -> tuple[int, bool, int]:
        """Return what sorts inputs: with a channel axis before those without, then images, then the first."""
        shape = tuple(self.trace.inputs[index].shape)
        rank = 1 + _has_steps(call) + len(call.spatial_shape)
        order = {rank + 1: 0, rank: 1}.get(len(shape), _MORE_AXES)
        return order, not _is_image(shape), index

    def _state(self, call: LayerCall, index: int, trace: Trace | None = None) -> State | None:
        """Return what a call shows of an input, or None if it does not depend on it."""
        return (trace or self.trace).states(index).get(call.tensor.ref())


def open_region(
    source: tf.Tensor, tensor: tf.Tensor, spatial: Sequence[int], tokens: TokenGrid | None
) -> Region | None:
    """Return the part of an input that feature maps cover, as tensors of the current graph.

    Args:
        source: the input.
        tensor: the feature maps, in the same graph.
        spatial: their spatial axes.
        tokens: the grid of tokens, None for maps.
    """
    state = follow(source).get(tensor.ref())
    part = part_of(tensor, state, spatial, _token_axes(tokens)) if isinstance(state, tuple) else None
    return None if part is None else part.region()


def spatial_axes_of(call: LayerCall) -> range:
    """Return the spatial axes of the feature maps as the layer returns them."""
    first = 1 + call.returns_sequence + (call.data_format == "channels_first")
    return range(first, first + (1 if call.tokens else len(call.spatial_shape)))


def _token_axes(tokens: TokenGrid | None) -> int:
    return 0 if tokens is None else len(tokens.shape)


def _part(state: State | None, call: LayerCall) -> Part | None:
    if not isinstance(state, tuple):
        return None
    with call.tensor.graph.as_default():
        return part_of(call.tensor, state, spatial_axes_of(call), _token_axes(call.tokens))


def _has_positions(state: State | None, call: LayerCall, rank: int) -> bool:
    """Return whether feature maps show more than one position of an input of this rank."""
    if not isinstance(state, tuple):
        return state is not None
    channels = {1 if call.data_format == "channels_first" else rank - 1} if rank > 2 else set()
    return any(axis.axes_with_positions - channels for axis in state)


def _has_steps(call: LayerCall) -> bool:
    return call.time_steps is not None or call.returns_sequence or call.elements is not None


def _spatial_axes_of_input(call: LayerCall, shape: Shape) -> tuple[int, ...]:
    """Return the axes of an input that maps of a call are stretched over, or none if the rank does not fit."""
    count, steps = len(call.spatial_shape), int(_has_steps(call))
    extra = len(shape) - 1 - steps - count
    if extra not in (0, 1):
        return ()
    first = 1 + steps + (extra == 1 and call.data_format == "channels_first")
    return tuple(range(first, first + count))


def _is_image(shape: Shape) -> bool:
    return len(shape) == 4 and (shape[-1] in (1, 3) or shape[1] in (1, 3))


def _values(numbers: Sequence[Number], trace: Trace) -> list[float] | None:
    """Return the values of numbers in a trace of known sizes, or None where they depend on more than sizes."""
    feed = {tensor.name: np.zeros(tensor.shape, tensor.dtype.as_numpy_dtype) for tensor in trace.inputs}
    try:
        with tf.compat.v1.Session(graph=trace.inputs[0].graph) as session:
            return [float(n) if not tf.is_tensor(n) else float(session.run(n, feed)) for n in numbers]
    except (tf.errors.OpError, TypeError, ValueError):
        return None
