"""The sizes of feature maps and tokens in words."""

from __future__ import annotations

from visualcnn_tf._utils.types import Shape
from visualcnn_tf.introspect.tokens.grid import TokenGrid


def describe_sizes(shape: Shape, grid: TokenGrid | None) -> str:
    """Return the sizes of what a layer returns, without the batch.

    Args:
        shape: of maps, or of tokens ``(B, N, C)``.
        grid: that of the tokens, None for maps.

    Example:
        >>> describe_sizes((None, 7, 7, 64), None)
        '7×7×64'
        >>> describe_sizes((None, 201, 192), TokenGrid(14, 14, prefix=1))
        '14×14×192 (tokens, 1 before, 4 behind)'
    """
    if grid is None:
        return _joined(shape[1:])
    behind = 0 if shape[1] is None else grid.suffix_of(shape[1])
    others = (f"{count} {place}" for count, place in ((grid.prefix, "before"), (behind, "behind")) if count)
    return f"{_joined((*grid.shape, shape[-1]))} ({', '.join(['tokens', *others])})"


def _joined(sizes: Shape) -> str:
    return "×".join("?" if size is None else str(size) for size in sizes)
