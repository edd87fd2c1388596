"""Which tokens a model's outputs read after its last attention: the class token, or those of a global pooling.

The rows of the last attention weights are followed to where an operation leaves nothing of their axis: it takes one of
them, averages them, or multiplies them with weights.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from visualcnn_tf.errors import NoAttentionError
from visualcnn_tf.introspect.geometry.axes import Axes, Axis, Span
from visualcnn_tf.introspect.geometry.control_flow import State
from visualcnn_tf.introspect.geometry.follow import follow
from visualcnn_tf.introspect.geometry.node import Node
from visualcnn_tf.introspect.geometry.numbers import NotFollowedError, constant, is_number
from visualcnn_tf.introspect.geometry.slices import single_positions
from visualcnn_tf.introspect.upstream import operations_between

#: The axis of attention weights ``(B, heads, N, N)`` that holds the tokens which attend.
_QUERIES = -2


def tokens_read(weights: tf.Tensor, outputs: Sequence[tf.Tensor]) -> tuple[int, ...]:
    """Return the indices of the tokens that outputs are computed from.

    Args:
        weights: of the last self-attention before the outputs, ``(B, heads, N, N)`` or ``(B, N, N)``, of known N.
        outputs: tensors of the same graph.

    Raises:
        NoAttentionError: where an operation takes part of the tokens in a way that can't be followed.
    """
    queries = int(weights.shape.rank) + _QUERIES
    with weights.graph.as_default():
        following = _Following(follow(weights), queries, int(weights.shape[queries]))
    found: set[int] = set()
    for op in operations_between(weights, outputs):
        for tensor in op.inputs:
            if following.has_tokens(tensor) and not any(map(following.has_tokens, op.outputs)):
                found.update(_read_by(following, op, tensor))
    for output in outputs:
        if following.has_tokens(output):
            found.update(following.all_of(output))
    return tuple(sorted(found))


def _read_by(following: _Following, op: tf.Operation, tensor: tf.Tensor) -> list[int]:
    try:
        return following.read_by(op, tensor)
    except NotFollowedError:
        raise _not_followed(op) from None


class _Following:
    """The tokens that each tensor of the graph has along one of its axes.

    Args:
        states: what each tensor shows of the attention weights.
        queries: the axis of the weights that holds the tokens.
        count: the number of tokens.
    """

    def __init__(self, states: Mapping[Hashable, State], queries: int, count: int) -> None:
        self.states, self.queries, self.count = states, queries, count

    def has_tokens(self, tensor: tf.Tensor) -> bool:
        """Return whether an axis of the tensor holds tokens."""
        return self._axis(tensor) is not None

    def read_by(self, op: tf.Operation, tensor: tf.Tensor) -> list[int]:
        """Return the tokens of a tensor that an operation reads which leaves no axis of them."""
        along = self._along(tensor, op)
        if op.type in ("StridedSlice", "GatherV2"):
            along = [along[index] for index in self._positions_read(op, len(along))]
        return [index for index in along if index >= 0]

    def _positions_read(self, op: tf.Operation, count: int) -> list[int]:
        """Return the positions that an operation takes of an axis of so many tokens."""
        axis, state = self._axis(op.inputs[0]), self.states.get(op.inputs[0].ref())
        if axis is None or not isinstance(state, tuple) or op.inputs[0].shape[axis] != count:
            raise _not_followed(op)
        if op.type == "GatherV2":
            return [int(index) % count for index in np.ravel(constant(op.inputs[1]))]
        single = dict(single_positions(Node(op, [state, None, None, None])))
        return [int(single[axis])]

    def all_of(self, tensor: tf.Tensor) -> list[int]:
        """Return all tokens of a tensor."""
        return [index for index in self._along(tensor, tensor.op) if index >= 0]

    def _axis(self, tensor: tf.Tensor) -> int | None:
        """Return the axis of a tensor that holds tokens, or None."""
        state = self.states.get(tensor.ref())
        if state is None:
            return None
        if not isinstance(state, tuple):
            raise _not_followed(tensor.op)
        return next((index for index, axis in enumerate(state) if self._shows_tokens(axis)), None)

    def _shows_tokens(self, axis: Axis) -> bool:
        return self._stretch(axis) is not None

    def _stretch(self, axis: Axis) -> tuple[Axis, Span] | None:
        """Return the stretch of the tokens that an axis shows, and the axis that it is the one stretch of."""
        for factor in axis.factors:
            if factor.inner is not None and (found := self._stretch(factor.inner)):
                return found
            if factor.span is not None and factor.span.axis == self.queries:
                return axis, factor.span
        return None

    def _along(self, tensor: tf.Tensor, op: tf.Operation) -> list[int]:
        """Return the index of each token along its axis, -1 for what a concatenation has put before or after them."""
        state: Axes = self.states[tensor.ref()]  # type: ignore[assignment]
        axis, span = next(found for one in state if (found := self._stretch(one)))
        numbers = (span.start, span.stop, axis.before, axis.after, span.shift)
        if span.moved_by or span.flipped_by or not is_number(*numbers) or span.shift:
            raise _not_followed(op, span.moved_by)
        first, last = (round(end * self.count) for end in (span.start, span.stop))
        return [-1] * round(axis.before) + list(range(first, last)) + [-1] * round(axis.after)


def _not_followed(op: tf.Operation, by: str = "") -> NoAttentionError:
    return NoAttentionError(
        f"`method` needs to know which tokens the output is computed from. Received: a model in which "
        f"{by or f'{op.type} ({op.name})'} rearranges tokens behind the last attention in a way that can't be "
        "followed. Use 'gradcam'."
    )
