"""Combine the heatmaps of several layers into one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.introspect.patterns import value_per_path
from visualcnn_tf.ops.normalize import Normalization, normalize_maps

#: From the heatmaps ``(B, H, W)`` of all layers to one.
Combination: TypeAlias = Callable[[Sequence[tf.Tensor]], tf.Tensor]

COMBINATIONS = ("mean", "max", "product")


def check_combine(combine: object) -> None:
    """Raise unless ``combine`` is None, a name or a callable."""
    if combine is not None and not callable(combine):
        check_choice("combine", combine, COMBINATIONS, also="a callable [(B, H, W), ...] -> (B, H, W)")


def resolve_weights(weights: object, combine: object, paths: Sequence[str]) -> tuple[float, ...] | None:
    """Return one weight for each tap, from a dict of patterns (others weigh 1) or a list.

    Raises:
        InvalidArgumentError: for weights that are negative, all zero or of the wrong number, or without a named
            combination.
        LayerNotFoundError: for a pattern that matches no tap.
    """
    if weights is None:
        return None
    if not isinstance(combine, str):
        raise bad_value("combine_weights", f"None unless `combine` is one of {COMBINATIONS}", weights)
    values: list[Any] = []
    if isinstance(weights, Mapping):
        values = value_per_path(weights, paths, 1.0, "combine_weights")
    elif isinstance(weights, Iterable) and not isinstance(weights, str):
        values = list(weights)
    if len(values) != len(paths):
        raise bad_value("combine_weights", f"a dict of patterns or {len(paths)} numbers, one a tap", weights)
    if not all(map(_is_weight, values)) or not any(values):
        raise bad_value("combine_weights", "numbers of at least 0, not all 0", weights)
    return tuple(float(value) for value in values)


def _is_weight(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) < float("inf")


def combine_maps(
    maps: Sequence[tf.Tensor], combine: str | Combination, weights: Sequence[float] | None, normalize: Normalization
) -> tf.Tensor:
    """Combine maps ``(B, H, W)`` of one shape into one, normalized again (with a range: clipped to [0, 1]).

    ``"mean"``: Σ wₖ·mₖ / Σ wₖ. ``"max"``: max wₖ·mₖ. ``"product"``: Π mₖ^wₖ (of magnitudes, for signed maps).

    Raises:
        InvalidArgumentError: when a callable returns another shape.
    """
    if callable(combine):
        combined = combine(list(maps))
        if not tf.is_tensor(combined) or not combined.shape.is_compatible_with(maps[0].shape):
            received = combined.shape if tf.is_tensor(combined) else type(combined).__name__
            raise InvalidArgumentError(
                f"`combine` must return one map of shape {tuple(maps[0].shape)}. Received: {received}."
            )
        combined = tf.ensure_shape(tf.cast(combined, tf.float32), maps[0].shape)
    else:
        combined = _COMBINE[combine](maps, weights or [1.0] * len(maps))
    # A range is one of raw values, which these maps no longer hold.
    return normalize_maps(combined, ("range", 0.0, 1.0) if isinstance(normalize, tuple) else normalize)


def _mean(maps: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
    return tf.add_n([m * w for m, w in zip(maps, weights, strict=True)]) / sum(weights)


def _max(maps: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
    combined = maps[0] * weights[0]
    for other, weight in zip(maps[1:], weights[1:], strict=True):
        combined = tf.maximum(combined, other * weight)
    return combined


def _product(maps: Sequence[tf.Tensor], weights: Sequence[float]) -> tf.Tensor:
    combined = tf.ones_like(maps[0])
    for m, weight in zip(maps, weights, strict=True):
        if weight:
            combined *= tf.abs(m) if weight == 1.0 else tf.pow(tf.abs(m), weight)
    return combined


_COMBINE: dict[str, Callable[[Sequence[tf.Tensor], Sequence[float]], tf.Tensor]] = {
    "mean": _mean,
    "max": _max,
    "product": _product,
}
