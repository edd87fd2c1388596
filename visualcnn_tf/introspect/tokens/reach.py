"""What depends on the positions of tokens, not on other tokens alone, such as a class token."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from visualcnn_tf.introspect.batch_axis_table import ELEMENTWISE
from visualcnn_tf.introspect.geometry.axes import Axis, Span
from visualcnn_tf.introspect.geometry.follow import follow
from visualcnn_tf.introspect.geometry.node import Node
from visualcnn_tf.introspect.geometry.numbers import NotFollowedError, Number, constant, is_number
from visualcnn_tf.introspect.geometry.products import summed_axes
from visualcnn_tf.introspect.geometry.slices import single_positions
from visualcnn_tf.introspect.tokens.grid import TokenGrid
from visualcnn_tf.introspect.upstream import READING_SHAPES

#: The types of operations that are products of matrices.
PRODUCTS = ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul")
_REDUCTIONS = ("All", "Any", "ArgMax", "ArgMin", "Max", "Mean", "Min", "Prod", "Sum")
_SOFTMAXES = ("LogSoftmax", "Softmax")
_CUTS = ("Slice", "Split", "SplitV")
# Operations that leave positions apart, each by itself.
_KEEPING = frozenset(
    [
        *(*ELEMENTWISE, *PRODUCTS, *_REDUCTIONS, *_SOFTMAXES),
        *("ConcatV2", "ExpandDims", "IdentityN", "Pack", "Pad", "PadV2", "Reshape", "Roll", "Squeeze", "Tile"),
        *("Transpose", "Unpack"),
    ]
)
_SMALL = 1e-9


class PositionReach:
    """What depends on the positions that the output of a call stands for, in the graph of its trace.

    Token by token, operations are followed as long as they leave tokens apart: of a class token that is read at last,
    it is known whether it has seen the others since, by attention. What can't be followed counts as dependent.

    Args:
        tensor: tokens ``(B, N, C)``, or maps.
        grid: that of the tokens, None for maps.
    """

    def __init__(self, tensor: tf.Tensor, grid: TokenGrid | None) -> None:
        with tensor.graph.as_default():
            self._states = follow(tensor)
        self._start, self._stop = 0.0, 1.0
        self._axes = frozenset(range(1, tensor.shape.rank - 1))
        self._is_counted = grid is None or tensor.shape[1] is not None
        if grid is not None and self._is_counted:
            self._start, self._stop = grid.prefix / tensor.shape[1], grid.end / tensor.shape[1]
        # Tensors in which each number may depend on several positions.
        self._mixed: set[Hashable] = set()
        self._attending: set[Hashable] = set()
        for op in tensor.graph.get_operations():
            if op is not tensor.op and op.type not in READING_SHAPES and any(map(self.depends, op.inputs)):
                self._pass(op)

    @property
    def is_certain(self) -> bool:
        """Whether every operation behind the tensor could be followed, and the number of its tokens is known."""
        return self._is_counted and all(isinstance(state, tuple) for state in self._states.values())

    def depends(self, tensor: tf.Tensor) -> bool:
        """Return whether a tensor depends on any of the positions."""
        if tensor.dtype == tf.resource:
            return False
        state = self._states.get(tensor.ref())
        if tensor.ref() in self._mixed or not isinstance(state, (tuple, type(None))):
            return True
        return any(self._shows_positions(axis) for axis in state or ())

    def reaches(self, tensors: Iterable[tf.Tensor]) -> bool:
        """Return whether any of some tensors depends on the positions."""
        return any(map(self.depends, tensors))

    def attends(self, needed: set[Hashable]) -> bool:
        """Return whether attention reads the positions: a sum over them, weighted by what was computed from them.

        Args:
            needed: references of the tensors that count.
        """
        return not self._attending.isdisjoint(needed)

    def _pass(self, op: tf.Operation) -> None:
        """Find out what an operation does with positions."""
        outputs = [output.ref() for output in op.outputs]
        summed = [(index, axis) for index, axis in _summed_axes(op) if self._has_positions(op.inputs[index], axis)]
        if len({index for index, _ in summed}) == 2:
            self._attending.update(outputs)
        is_mixed = any(tensor.dtype != tf.resource and tensor.ref() in self._mixed for tensor in op.inputs)
        if is_mixed or summed or not self._keeps_apart(op):
            self._mixed.update(outputs)

    def _keeps_apart(self, op: tf.Operation) -> bool:
        """Return whether it is known which positions each number depends on after an operation that sums over none."""
        if any(map(self.depends, op.outputs)):
            return op.type in _KEEPING or op.type in (*_CUTS, "StridedSlice", "GatherV2")
        return op.type in _CUTS or (op.type in ("StridedSlice", "GatherV2") and not self._reads_one_of_them(op))

    def _reads_one_of_them(self, op: tf.Operation) -> bool:
        """Return whether the one position that an operation reads of an axis may be one of them."""
        state = self._states.get(op.inputs[0].ref())
        if not isinstance(state, tuple):
            return True
        try:
            read = _single_positions(op, state)
        except NotFollowedError:
            return True
        sizes = op.inputs[0].shape
        return any(
            self._shows_positions(state[axis]) and self._is_one_of_them(state[axis], index, sizes[axis])
            for axis, index in read
        )

    def _is_one_of_them(self, axis: Axis, index: Number, size: int | None) -> bool:
        span = axis.span
        if span is None or size is None or span.flipped_by:
            return True
        if not is_number(index, axis.before, axis.after, span.start, span.stop):
            return True
        count = size - axis.before - axis.after
        position = index - axis.before
        if not 0 <= position < count:
            return False
        unit = (span.stop - span.start) / count
        start = span.start + position * unit
        return self._is_in_range(replace(span, start=start, stop=start + unit))

    def _has_positions(self, tensor: tf.Tensor, axis: int) -> bool:
        """Return whether an axis of a tensor shows any of the positions."""
        state = self._states.get(tensor.ref())
        return isinstance(state, tuple) and self._shows_positions(state[axis])

    def _shows_positions(self, axis: Axis) -> bool:
        for factor in axis.factors:
            if factor.inner is not None and self._shows_positions(factor.inner):
                return True
            span = factor.span
            if span is not None and span.axis in self._axes and self._is_in_range(span):
                return True
        return False

    def _is_in_range(self, span: Span) -> bool:
        """Return whether a span may hold some of the positions."""
        start, stop = span.start, span.stop
        if not is_number(start, stop, span.shift) or span.shift:
            return True
        return bool(start < self._stop - _SMALL and stop > self._start + _SMALL)


def _summed_axes(op: tf.Operation) -> Sequence[tuple[int, int]]:
    """Return the axes that an operation sums over, or that a softmax compares: of which input, and which axis."""
    rank = op.inputs[0].shape.rank if op.inputs else None
    if op.type in PRODUCTS:
        return summed_axes(op) if all(tensor.shape.rank for tensor in op.inputs) else ()
    if op.type in _SOFTMAXES and rank:
        return [(0, rank - 1)]
    if op.type not in _REDUCTIONS or not rank:
        return ()
    axes = tf.get_static_value(op.inputs[1])
    return [(0, int(axis) % rank) for axis in (range(rank) if axes is None else np.ravel(axes))]


def _single_positions(op: tf.Operation, state: Sequence[Axis]) -> list[tuple[int, Number]]:
    """Return each axis of which an operation reads one position, and which."""
    if op.type == "StridedSlice":
        return list(single_positions(Node(op, [tuple(state), *[None] * (len(op.inputs) - 1)])))
    indices, axis = op.inputs[1], int(constant(op.inputs[2])) % len(state)
    if indices.shape.rank != 0:
        return []
    index = tf.get_static_value(indices)
    size = op.inputs[0].shape[axis]
    return [(axis, indices if index is None else float(index if index >= 0 else index + (size or 0)))]
