"""What loops and lists of tensors show, and what one of two branches does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import tensorflow as tf

from visualcnn_tf.introspect.geometry.axes import Axes, Axis
from visualcnn_tf.introspect.geometry.join import is_same_axis
from visualcnn_tf.introspect.geometry.numbers import NotFollowedError, choose, is_same, size_of


@dataclass(frozen=True)
class Untraceable:
    """A tensor that depends on the input, of which it is not known what its axes show.

    Attributes:
        by: the operation that can't be followed.
    """

    by: str


@dataclass(frozen=True, eq=False)
class TensorList:
    """A list of tensors, as loops over time steps read and write.

    Attributes:
        steps: the axis that the list was made of.
        axes: the axes of each tensor.
    """

    steps: Axis
    axes: Axes


#: What a tensor shows of the input that is followed.
State: TypeAlias = "Axes | TensorList | Untraceable"


def list_operation(op: tf.Operation, state: State) -> State:
    """Return the output of an operation on a list of tensors.

    Raises:
        NotFollowedError: for an operation that does something else with it.
    """
    if op.type == "TensorListFromTensor" and isinstance(state, tuple):
        return TensorList(state[0], state[1:])
    if isinstance(state, TensorList):
        if op.type == "TensorListStack":
            return (state.steps, *state.axes)
        if op.type == "TensorListGetItem":
            return state.axes
        if op.outputs[0].dtype == tf.variant:
            return state
    raise NotFollowedError


def loop(op: tf.Operation, states: list[State | None]) -> list[State | None]:
    """Return the outputs of a loop over time steps, which leaves the other axes where they are."""
    listed = next((state for state in states if isinstance(state, TensorList)), None)
    step = listed.axes if listed else next((state for state in states if isinstance(state, tuple)), None)
    return [
        _made_in_loop(output, step, listed or Untraceable(op.type)) if before is None else before
        for output, before in zip(op.outputs, states, strict=True)
    ]


def _made_in_loop(output: tf.Tensor, step: Axes | None, listed: TensorList | Untraceable) -> State | None:
    """Return what an output of a loop shows that does not depend on the input before."""
    if output.dtype == tf.variant:
        return listed
    if step is None or output.shape.rank != len(step):
        return None
    # The state that goes from step to step has the axes of a step, its channels apart.
    return (*(_of_any_size(axis) for axis in step[:-1]), Axis())


def _of_any_size(axis: Axis) -> Axis:
    return axis if axis.span is None else axis.resampled(None, "a loop")


def chosen(condition: tf.Tensor, one: tuple[tf.Tensor, State], other: tuple[tf.Tensor, State], by: str) -> State:
    """Return what one of two tensors shows, of which a condition chooses one when the graph runs."""
    first, second = one[1], other[1]
    if not (isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second)):
        return first if first is second else Untraceable(by)
    return tuple(
        _chosen_axis(condition, (one[0], a), (other[0], b), index, by)
        for index, (a, b) in enumerate(zip(first, second, strict=True))
    )


def _chosen_axis(
    condition: tf.Tensor, one: tuple[tf.Tensor, Axis], other: tuple[tf.Tensor, Axis], index: int, by: str
) -> Axis:
    if one[1] is other[1] or is_same_axis(one[1], other[1]):
        return one[1]
    a, b = (axis.settled(size_of(tensor, index), by) for tensor, axis in (one, other))
    first, second = a.span, b.span
    if (
        first is None
        or second is None
        or (first.axis, first.flipped_by) != (second.axis, second.flipped_by)
        or not is_same(first.shift, second.shift)
    ):
        return a.moved(by)
    start, stop = choose(condition, first.start, second.start), choose(condition, first.stop, second.stop)
    moved_by = first.moved_by or second.moved_by
    return a.with_spans(lambda span: replace(span, start=start, stop=stop, moved_by=moved_by))
