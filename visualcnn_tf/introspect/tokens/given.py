"""Token grids that the user gives, for tokens whose grid can't be found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from visualcnn_tf._utils.checks import did_you_mean
from visualcnn_tf.errors import InvalidArgumentError, InvalidTypeError, LayerNotFoundError
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.patterns import matches
from visualcnn_tf.introspect.tokens.grid import TokenGrid
from visualcnn_tf.introspect.trace import Trace

#: One grid for all tokens whose grid can't be found, or grids by patterns of layers.
GivenTokens: TypeAlias = TokenGrid | Mapping[str, TokenGrid]

_RANK_OF_TOKENS = 3


def check_tokens(tokens: object) -> None:
    """Raise unless ``tokens`` is None, a grid, or a dict from patterns of layers to grids.

    Raises:
        InvalidTypeError: for anything else.
        InvalidArgumentError: for an empty dict.
    """
    if tokens is None or isinstance(tokens, TokenGrid):
        return
    if isinstance(tokens, Mapping):
        if not tokens:
            raise InvalidArgumentError("`tokens` must give at least one grid, or be None. Received: {}.")
        if all(isinstance(pattern, str) and isinstance(grid, TokenGrid) for pattern, grid in tokens.items()):
            return
    raise InvalidTypeError(
        "`tokens` must be None, a `TokenGrid`, or a dict from layer patterns to `TokenGrid`s, such as "
        f"{{'encoder/*': TokenGrid(14, 14, prefix=1)}}. Received: {tokens!r} of type {type(tokens).__name__}."
    )


def give_tokens(trace: Trace, tokens: GivenTokens | None) -> None:
    """Mark calls of a trace with grids that are given: of a dict, those that match; of one grid, those that it fits.

    Raises:
        LayerNotFoundError: for a pattern that matches no layer of tokens.
        InvalidArgumentError: for a grid that does not fit, or another one than was found.
    """
    rows = [call for call in trace.calls if _is_row(call)]
    if isinstance(tokens, TokenGrid):
        _give([call for call in rows if call.tokens is None and call.shape[1] == tokens.end], tokens)
        return
    for pattern, grid in (tokens or {}).items():
        _give(_matching(pattern, rows), grid)


def _matching(pattern: str, rows: Sequence[LayerCall]) -> list[LayerCall]:
    found = [call for call in rows if matches(pattern, call.path)]
    if not found:
        raise LayerNotFoundError(
            f"`tokens` patterns must match layers of tokens (B, N, C). Received: {pattern!r}, which matches none."
            f"{did_you_mean(pattern, [call.path for call in rows])}"
        )
    return found


def give_tokens_to(calls: Iterable[LayerCall], tokens: GivenTokens | None) -> None:
    """Mark the selected calls with the one grid that is given for all.

    Raises:
        InvalidArgumentError: for a grid that does not fit one of them, or that none of them takes.
    """
    if not isinstance(tokens, TokenGrid):
        return
    rows = [call for call in calls if _is_row(call)]
    if not rows:
        raise InvalidArgumentError(
            f"`tokens` must be None unless `layers` select layers of tokens (B, N, C). Received: {tokens!r}, and "
            f"{[call.path for call in calls]}."
        )
    _give(rows, tokens)


def _give(calls: Iterable[LayerCall], grid: TokenGrid) -> None:
    for call in calls:
        _check_grid(call, grid)
        call.tokens, call.data_format = grid, "channels_last"


def _check_grid(call: LayerCall, grid: TokenGrid) -> None:
    if call.tokens is not None and call.tokens != grid:
        raise InvalidArgumentError(
            f"`tokens` must be None, or what is found, where the grid of tokens can be found. Received: {grid!r} for "
            f"{call.path!r}, whose tokens are those of {call.tokens!r}."
        )
    count = call.shape[1]
    if count is not None and grid.suffix_of(count) < 0:
        raise InvalidArgumentError(
            f"`tokens` must fit the tokens of each layer. Received: {grid!r}, {grid.end} tokens, for {call.path!r} of "
            f"shape {call.shape}, which has {count}."
        )


def _is_row(call: LayerCall) -> bool:
    return call.tensor is not None and not call.untappable_because and len(call.shape) == _RANK_OF_TOKENS
