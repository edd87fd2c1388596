"""Follow the positions of an input through the operations of a graph."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import tensorflow as tf

from visualcnn_tf.introspect.function_bodies import FUNCTION_CALLS, copy_of_body, function_definitions
from visualcnn_tf.introspect.geometry import moves, products, slices, windows
from visualcnn_tf.introspect.geometry.axes import Axes, Axis, Factor, Span
from visualcnn_tf.introspect.geometry.control_flow import State, TensorList, Untraceable, chosen, list_operation, loop
from visualcnn_tf.introspect.geometry.join import broadcast
from visualcnn_tf.introspect.geometry.node import Node, Rule
from visualcnn_tf.introspect.geometry.numbers import NotFollowedError
from visualcnn_tf.introspect.upstream import READING_SHAPES

_RULES: dict[str, Rule] = {**moves.RULES, **products.RULES, **slices.RULES, **windows.RULES}
_BRANCHES = ("If", "StatelessIf")
_LOOPS = ("While", "StatelessWhile")
_LISTS = ("TensorListFromTensor", "TensorListStack", "TensorListGetItem")


def follow(source: tf.Tensor, axes: Axes | None = None) -> dict[Hashable, State]:
    """Return what each tensor shows that is computed from an input, by ``tensor.ref()``.

    Args:
        source: the input, a tensor of the current graph.
        axes: what is followed of it; by default all its axes but the first, the batch.
    """
    sizes = tuple(source.shape)
    if axes is None:
        axes = tuple(Axis((Factor(size, Span(axis)),)) if axis else Axis() for axis, size in enumerate(sizes))
    following = _Following(source.graph)
    following.states[source.ref()] = axes
    with tf.control_dependencies(None):
        following.through(source.graph.get_operations())
    return following.states


class _Following:
    """What the tensors of a graph show so far.

    Args:
        graph: the graph, which is the current one.
    """

    def __init__(self, graph: tf.Graph) -> None:
        self.graph = graph
        self.states: dict[Hashable, State] = {}
        self._definitions: dict[str, Any] | None = None

    def through(self, operations: Iterable[tf.Operation]) -> None:
        """Follow operations, each after those that compute its inputs."""
        for op in operations:
            if op.type in READING_SHAPES or not op.outputs:
                continue
            states = [self.states.get(tensor.ref()) for tensor in op.inputs]
            if any(state is not None for state in states):
                for tensor, state in zip(op.outputs, self._outputs(op, states), strict=True):
                    if state is not None:
                        self.states.setdefault(tensor.ref(), state)

    def _outputs(self, op: tf.Operation, states: list[State | None]) -> Sequence[State | None]:
        try:
            if op.type in FUNCTION_CALLS:
                return self._called(op, op.get_attr("f").name, op.inputs, states)[1]
            if op.type in _BRANCHES:
                return self._branches(op, states)
            if op.type in _LOOPS:
                return loop(op, states)
            if op.type in _LISTS or any(isinstance(state, TensorList) for state in states):
                return _of_lists(op, states)
            return _by_rule(op, states)
        except NotFollowedError:
            return [_unknown(op, tensor, states) for tensor in op.outputs]

    def _called(
        self, op: tf.Operation, name: str, inputs: Sequence[tf.Tensor], states: Sequence[State | None]
    ) -> tuple[list[tf.Tensor], list[State | None]]:
        """Return the outputs of a copy of a function's body, and what they show."""
        if self._definitions is None:
            self._definitions = function_definitions(self.graph)
        # New tensors, because a function may return its argument, or be called on one tensor twice.
        copies = [tensor if tensor.dtype == tf.resource else tf.identity(tensor) for tensor in inputs]
        for tensor, state in zip(copies, states, strict=True):
            if state is not None:
                self.states.setdefault(tensor.ref(), state)
        known = len(self.graph.get_operations())
        outputs = copy_of_body(self._definitions[name], copies)
        self.through(self.graph.get_operations()[known:])
        return outputs, [self.states.get(output.ref()) for output in outputs]

    def _branches(self, op: tf.Operation, states: Sequence[State | None]) -> list[State | None]:
        """Follow both branches, or the one that is known to be taken."""
        condition, *inputs = op.inputs
        known = tf.get_static_value(condition)
        names = [op.get_attr(f"{branch}_branch").name for branch in ("then", "else")]
        if known is not None:
            return self._called(op, names[0 if known else 1], inputs, states[1:])[1]
        (ones, first), (others, second) = (self._called(op, name, inputs, states[1:]) for name in names)
        by = f"{op.type} ({op.name})"
        return [
            (a or b) if a is None or b is None else chosen(condition, (one, a), (other, b), by)
            for one, other, a, b in zip(ones, others, first, second, strict=True)
        ]


def _by_rule(op: tf.Operation, states: list[State | None]) -> Sequence[State | None]:
    """Apply the rule of an operation or, without one, take it to work number by number."""
    rule = _RULES.get(op.type)
    axes = [state if isinstance(state, tuple) else None for state in states]
    is_partly_known = any(isinstance(state, Untraceable) for state in states)
    if (rule and is_partly_known) or not any(known is not None for known in axes):
        raise NotFollowedError
    node = Node(op, axes)
    outputs = (rule or _number_by_number)(node)
    if isinstance(outputs, list):
        return outputs
    return [outputs if tensor.shape.rank in (None, len(outputs)) else None for tensor in op.outputs]


def _number_by_number(node: Node) -> Axes:
    """Return the axes of an operation without a rule of its own: those of its inputs, broadcast or resized."""
    shape = node.result_shape
    parts = [(axes, node.shape(index)) for index, axes in enumerate(node.axes) if axes is not None]
    first, its_shape = parts[0]
    if its_shape == shape and all(axes is first for axes, _ in parts):
        return first
    if all(_fits(before, shape) for _, before in parts):
        return broadcast(parts, shape, node.name)
    return windows.resized(node)


def _fits(before: Sequence[int | None], shape: Sequence[int | None]) -> bool:
    """Return whether a tensor of one shape can be broadcast to another."""
    if len(before) > len(shape):
        return False
    sizes = zip(before, shape[len(shape) - len(before) :], strict=True)
    return all(one in (1, None, other) or other is None for one, other in sizes)


def _of_lists(op: tf.Operation, states: Sequence[State | None]) -> list[State | None]:
    state = next(state for state in states if state is not None)
    return [list_operation(op, state), *[None] * (len(op.outputs) - 1)]


def _unknown(op: tf.Operation, tensor: tf.Tensor, states: Sequence[State | None]) -> State:
    """Return what an output shows of an operation that can't be followed: no positions if it has no axes for them."""
    if tensor.shape.rank is not None and tensor.shape.rank <= 2 and tensor.dtype != tf.variant and op.type != "Reshape":
        return (Axis(),) * int(tensor.shape.rank)
    for state in states:
        if isinstance(state, Untraceable):
            return state
    return Untraceable(f"{op.type} ({op.name})")
