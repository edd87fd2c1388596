"""What depends on the positions of tokens, not on other tokens alone, such as a class token."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import tensorflow as tf

from visualcnn_tf.introspect.batch_axis_table import ELEMENTWISE
from visualcnn_tf.introspect.geometry.axes import Axes, Axis, Factor, Span
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


class PositionReach:
    """What depends on the positions that the output of a call stands for, in the graph of its trace.

    Token by token, operations are followed as long as they leave tokens apart: of a class token that is read at last,
    it is known whether it has seen the others since, by attention. What can't be followed counts as dependent.

    Args:
        tensor: tokens ``(B, N, C)``, or maps.
        grid: that of the tokens, None for maps.
    """

    def __init__(self, tensor: tf.Tensor, grid: TokenGrid | None) -> None:
        self._is_counted = grid is None or tensor.shape[1] is not None
        with tensor.graph.as_default():
            self._states = follow(tensor, _axes_of_maps(tensor) if grid is None else _axes_of_tokens(tensor, grid))
        # Tensors in which each number may depend on several positions, and those that attention makes.
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
        return any(axis.has_spans for axis in state or ())

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
        summed = {index for index, axis in _summed_axes(op) if self._shows_positions(op.inputs[index], axis)}
        if len(summed) == 2:
            self._attending.update(outputs)
        is_mixed = any(tensor.dtype != tf.resource and tensor.ref() in self._mixed for tensor in op.inputs)
        if is_mixed or summed or not self._keeps_apart(op):
            self._mixed.update(outputs)

    def _keeps_apart(self, op: tf.Operation) -> bool:
        """Return whether it is known which positions each number depends on after an operation that sums over none."""
        if self.reaches(op.outputs):
            return op.type in _KEEPING or op.type in (*_CUTS, "StridedSlice", "GatherV2")
        return op.type in _CUTS or (op.type in ("StridedSlice", "GatherV2") and not self._reads_one_of_them(op))

    def _reads_one_of_them(self, op: tf.Operation) -> bool:
        """Return whether the one token that an operation reads of an axis may stand for a position."""
        state = self._states.get(op.inputs[0].ref())
        if not isinstance(state, tuple):
            return True
        try:
            read = _single_positions(op, state)
        except NotFollowedError:
            return True
        sizes = op.inputs[0].shape
        return any(state[axis].has_spans and not _is_other_token(state[axis], at, sizes[axis]) for axis, at in read)

    def _shows_positions(self, tensor: tf.Tensor, axis: int) -> bool:
        state = self._states.get(tensor.ref())
        return isinstance(state, tuple) and state[axis].has_spans


def _axes_of_maps(tensor: tf.Tensor) -> Axes:
    """Return what the spatial axes of maps show: themselves."""
    sizes, last = tuple(tensor.shape), tensor.shape.rank - 1
    return tuple(Axis((Factor(n, Span(k)),)) if 0 < k < last else Axis() for k, n in enumerate(sizes))


def _axes_of_tokens(tensor: tf.Tensor, grid: TokenGrid) -> Axes:
    """Return what the axes of tokens show: those of the grid, with the other tokens around them."""
    factors = tuple(Factor(size, Span(axis)) for axis, size in enumerate(grid.shape))
    after = grid.suffix_of(tensor.shape[1]) if tensor.shape[1] is not None else 0
    tokens = Axis(factors, float(grid.prefix), float(after), float(grid.count), has_other_tokens=True)
    return (Axis(), tokens, Axis())


def _is_other_token(axis: Axis, index: Number, size: int | None) -> bool:
    """Return whether a token of an axis is known to be one of those around the tokens of positions."""
    if size is None or not is_number(index, axis.before, axis.after):
        return False
    return bool(not axis.before <= index < size - axis.after)


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
