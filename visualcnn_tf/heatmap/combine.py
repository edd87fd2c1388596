"""Combine the heatmaps of several layers into one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import TypeAlias

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.introspect.patterns import value_per_path
from visualcnn_tf.ops.normalize import Normalization, normalize_maps

#: From the heatmaps ``(B, H, W)`` of all layers to one.
Combination: TypeAlias = Callable[[Sequence[tf.Tensor]], tf.Tensor]


def combine_maps(
    maps: Sequence[tf.Tensor], combine: str | Combination, weights: Sequence[float] | None, normalize: Normalization
) -> tf.Tensor:
    """Return one map ``(B, H, W)`` from several of the same shape, normalized again (with a range: clipped to [0, 1]).

    ``"mean"``: Σ wₖ·mₖ / Σ wₖ. ``"max"``: max wₖ·mₖ. ``"product"``: Π mₖ^wₖ (of magnitudes, for signed maps).

    Raises:
        InvalidArgumentError: If a callable returns another shape.
    """
    if callable(combine):
        combined = _checked(combine(list(maps)), maps[0].shape)
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
COMBINATIONS = tuple(_COMBINE)


def _checked(combined: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """Return what a callable returned in float32; raise unless it is a tensor of the maps' shape."""
    if not tf.is_tensor(combined) or not combined.shape.is_compatible_with(shape):
        received = combined.shape if tf.is_tensor(combined) else type(combined).__name__
        raise InvalidArgumentError(f"`combine` must return one map of shape {tuple(shape)}. Received: {received}.")
    return tf.ensure_shape(tf.cast(combined, tf.float32), shape)


def check_combine(combine: object) -> None:
    """Raise unless ``combine`` is None, a name or a callable."""
    if combine is not None and not callable(combine):
        check_choice("combine", combine, COMBINATIONS, also="a callable [(B, H, W), ...] -> (B, H, W)")


def resolve_weights(weights: object, combine: object, paths: Sequence[str]) -> tuple[float, ...] | None:
    """Return one weight for each tap, from a dict of patterns (others weigh 1) or a list.

    Raises:
        InvalidArgumentError: For weights that are negative, all zero or of the wrong number, or without a named
            combination.
        LayerNotFoundError: For a pattern that matches no tap.
    """
    if weights is None:
        return None
    if not isinstance(combine, str):
        raise bad_value("combine_weights", f"None unless `combine` is one of {COMBINATIONS}", weights)
    values = _one_per_path(weights, paths)
    if len(values) != len(paths):
        raise bad_value("combine_weights", f"a dict of patterns or {len(paths)} numbers, one a tap", weights)
    if not all(map(_is_weight, values)) or not any(values):
        raise bad_value("combine_weights", "numbers of at least 0, not all 0", weights)
    return tuple(map(float, values))


def _one_per_path(weights: object, paths: Sequence[str]) -> list[float]:
    """Return weights as a list, which is empty for what holds no weights."""
    if isinstance(weights, Mapping):
        return list(value_per_path(weights, paths, 1.0, "combine_weights"))
    return list(weights) if isinstance(weights, Iterable) and not isinstance(weights, str) else []


def _is_weight(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) < float("inf")
