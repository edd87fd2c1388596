"""Read tokens as maps, and put changed maps back among the tokens."""

from __future__ import annotations

import tensorflow as tf

from visualcnn_tf.introspect.tokens.grid import TokenGrid


def maps_of_tokens(tokens: tf.Tensor, grid: TokenGrid) -> tf.Tensor:
    """Return the tokens of positions ``(B, N, C)`` as maps ``(B, h, w, C)``.

    Example:
        >>> maps_of_tokens(tf.reshape(tf.range(7), [1, 7, 1]), TokenGrid(2, 3, prefix=1))[0, ..., 0].numpy().tolist()
        [[1, 2, 3], [4, 5, 6]]
    """
    has_others = grid.prefix or tokens.shape[1] != grid.count
    positions = tokens[:, grid.prefix : grid.end] if has_others else tokens
    return tf.reshape(positions, [-1, *grid.shape, tokens.shape[-1] or tf.shape(tokens)[-1]])


def tokens_of_maps(maps: tf.Tensor, tokens: tf.Tensor, grid: TokenGrid) -> tf.Tensor:
    """Return tokens ``(B, N, C)`` with maps ``(B, h, w, C)`` in place of those of positions; the others stay.

    Args:
        maps: the maps.
        tokens: the tokens, one row for each map.
        grid: which of them stand for positions.
    """
    row = tf.reshape(maps, [-1, grid.count, maps.shape[-1] or tf.shape(maps)[-1]])
    before = [tokens[:, : grid.prefix]] if grid.prefix else []
    after = [tokens[:, grid.end :]] if tokens.shape[1] != grid.end else []
    return tf.concat([*before, row, *after], 1) if before or after else row
