"""What a fusion is: a pure function from feature maps to one map, and a table from name to function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from visualcnn_tf._checks import check_choice
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.fusion import activation

Fusion: TypeAlias = Callable[..., Any]

#: Every fusion by name. To add one, write the function and add its row.
FUSIONS: dict[str, Fusion] = {
    "deviation": activation.deviation,
    "mean": activation.mean,
    "mean_abs": activation.mean_abs,
    "max": activation.max_,
    "l2": activation.l2,
    "std": activation.std,
    "eigen": activation.eigen,
}


def resolve_fusion(method: str | Fusion, argument: str = "method") -> Fusion:
    """The function behind a method's name; a callable is taken as it is.

    Raises:
        InvalidArgumentError: for an unknown name.
    """
    if callable(method):
        return method
    check_choice(argument, method, list(FUSIONS), also="a callable (B, h, w, C) -> (B, h, w)")
    return FUSIONS[method]


def fuse(activations: Any, method: str | Fusion) -> tuple[Any, Any]:
    """One map per image from feature maps ``(B, h, w, C)`` of any float type.

    Images whose map is not finite everywhere (NaN or infinite activations) get an all-zero map, so that no NaN
    ever reaches a user of the heatmap.

    Returns:
        Maps ``(B, h, w)`` in float32, and whether each was finite, ``(B, 1, 1)``.

    Raises:
        InvalidArgumentError: for an unknown method, or a callable that returns the wrong shape.
    """
    activations = tf.cast(activations, tf.float32)
    fused = resolve_fusion(method)(activations)
    if callable(method):
        fused = _checked(fused, activations, method)
    space = list(range(1, fused.shape.rank))
    # x - x is 0 for finite numbers and NaN for all others: true in graphs, under XLA and in TensorFlow Lite, where
    # tf.debugging.check_numerics does nothing. Their mean, unlike a comparison of each, is a thing for XNNPACK.
    finite = tf.reduce_mean(fused - fused, space, keepdims=True) == 0.0
    return tf.where(finite, fused, tf.zeros_like(fused)), finite


def _checked(fused: Any, activations: Any, method: Fusion) -> Any:
    expected = activations.shape[:-1]
    name = getattr(method, "__name__", type(method).__name__)
    if not tf.is_tensor(fused) or not fused.shape.is_compatible_with(expected):
        received = fused.shape if tf.is_tensor(fused) else type(fused).__name__
        raise InvalidArgumentError(
            f"`method` must return one map per image, of shape {tuple(expected)}, from feature maps of shape "
            f"{tuple(activations.shape)}. Received: {received} from {name!r}. Reduce the last axis (channels) only."
        )
    return tf.ensure_shape(tf.cast(fused, tf.float32), expected)
