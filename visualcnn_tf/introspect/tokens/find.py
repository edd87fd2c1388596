"""Find the grid of tokens in what an axis shows of an input: positions that a reshape has put in a row."""

from __future__ import annotations

import math
from collections.abc import Sequence

from visualcnn_tf.introspect.geometry.axes import Axes, Axis, Factor
from visualcnn_tf.introspect.geometry.numbers import Number, is_number
from visualcnn_tf.introspect.tokens.grid import TokenGrid


def grid_of_tokens(axes: Axes, size: int) -> TokenGrid | None:
    """Return the grid of tokens ``(B, N, C)``, or None if they are none.

    Their axis is made of several axes of the input, or a concatenation has put other tokens before or after them.
    What has positions along its channels, such as products of queries and keys, or a part of each image in its rows,
    such as windows, is no row of tokens.

    Args:
        axes: what the three axes show of an input.
        size: the number of tokens.
    """
    rows, tokens, channels = axes
    grid = grid_of_axis(tokens, size)
    if grid is None or channels.axes_with_positions:
        return None
    return None if shown_axes(rows) & shown_axes(tokens) else grid


def grid_of_axis(axis: Axis, size: int) -> TokenGrid | None:
    """Return the grid of the tokens along one axis of a tensor, or None if it is no axis of tokens.

    Args:
        axis: what it shows of an input.
        size: its size.
    """
    before, after = _whole(axis.before), _whole(axis.after)
    if before is None or after is None:
        return None
    is_joined = len(axis.axes_with_positions) > 1
    if not is_joined and not (axis.has_other_tokens and before + after):
        return None
    shape = _sizes(axis.factors, size - before - after)
    if shape is None or before + math.prod(shape) + after != size:
        return None
    return TokenGrid(*shape, prefix=before)


def shown_axes(axis: Axis) -> set[int]:
    """Return the axes of the input that an axis shows any part of."""
    return {factor.span.axis for factor in axis.factors if factor.span is not None and factor.size != 1}


def have_same_positions(one: Axis, other: Axis) -> bool:
    """Return whether two axes of a tensor run over the same positions, as those of attention weights do."""
    return bool(_positions(one) & _positions(other))


def _positions(axis: Axis) -> set[tuple[int, bool, int]]:
    """Return which positions an axis runs over: of which axis of the input, over all of it or in blocks, how far."""
    factors = [factor for factor in axis.factors if factor.size != 1]
    return {(factor.span.axis, factor.is_major, factor.step) for factor in factors if factor.span is not None}


def _sizes(factors: Sequence[Factor], count: int) -> tuple[int, ...] | None:
    """Return the sizes of factors that run over different axes of the input, None if there is anything else."""
    axes = {factor.span.axis for factor in factors if factor.span is not None and factor.is_major}
    if not len(axes) == len(factors) <= 3:
        return None
    # The size of a factor alone is that of its axis.
    sizes = [count] if len(factors) == 1 else [factor.size or 0 for factor in factors]
    return tuple(sizes) if min(sizes, default=0) > 0 else None


def _whole(number: Number) -> int | None:
    """Return a number of positions that is known and whole, else None."""
    return int(number) if is_number(number) and float(number).is_integer() else None
