"""What a fusion is: a pure function from feature maps to one map, and a table from name to function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import tensorflow as tf

from visualcnn_tf._utils.checks import check_choice
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.methods import activation, gradient, perturbation
from visualcnn_tf.ops.normalize import zeros_unless

Fusion: TypeAlias = Callable[..., Any]

#: Of activations alone: what the layer responds to, whatever the class.
ACTIVATION_FUSIONS: dict[str, Fusion] = {
    "deviation": activation.deviation,
    "mean": activation.mean,
    "mean_abs": activation.mean_abs,
    "max": activation.max_,
    "l2": activation.l2,
    "std": activation.std,
    "eigen": activation.eigen,
}
#: Of activations and gradients of a class score.
GRADIENT_FUSIONS: dict[str, Fusion] = {
    "gradcam": gradient.gradcam,
    "gradcam++": gradient.gradcam_plus_plus,
    "hirescam": gradient.hirescam,
    "layercam": gradient.layercam,
    "xgradcam": gradient.xgradcam,
    "eigengradcam": gradient.eigengradcam,
}
#: Of activations and a way to run the model again: only ``attach`` can give them that.
PERTURBATIONS: dict[str, Fusion] = {
    "reciprocam": perturbation.reciprocam,
    "scorecam": perturbation.scorecam,
    "ablationcam": perturbation.ablationcam,
}
#: Every method by name. To add one, write the function and add its row above.
FUSIONS: dict[str, Fusion] = {**ACTIVATION_FUSIONS, **GRADIENT_FUSIONS, **PERTURBATIONS}

# The methods whose maps are a sum of evidence for and against the class; Recipro-CAM's are scores.
_SIGNED = (*GRADIENT_FUSIONS, "scorecam", "ablationcam")


def resolve_fusion(method: str | Fusion, argument: str = "method") -> Fusion:
    """The function behind a method's name; a callable is taken as it is.

    Raises:
        InvalidArgumentError: for an unknown name.
    """
    if callable(method):
        return method
    check_choice(argument, method, list(FUSIONS), also="a callable (B, h, w, C) -> (B, h, w)")
    return FUSIONS[method]


def needs_gradients(method: str | Fusion) -> bool:
    """Whether a method takes ``(A, G)``: a name of :data:`GRADIENT_FUSIONS`, or a callable that needs two arguments."""
    if not callable(method):
        return method in GRADIENT_FUSIONS
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return False
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in places and p.default is p.empty for p in parameters) == 2


def is_perturbation(method: str | Fusion) -> bool:
    """Whether a method runs the model again."""
    return not callable(method) and method in PERTURBATIONS


def is_discriminative(method: str | Fusion) -> bool:
    """Whether a method explains the score of a class."""
    return needs_gradients(method) or is_perturbation(method)


def method_name(method: str | Fusion) -> str:
    """A method in words."""
    return str(getattr(method, "__name__", type(method).__name__)) if callable(method) else method


def fuse(activations: Any, method: str | Fusion, gradients: Any = None, relu: bool = True) -> tuple[Any, Any]:
    """One map per image from feature maps ``(B, h, w, C)`` of any float type.

    Images whose map is not finite everywhere (NaN or infinite activations) get an all-zero map, so that no NaN
    ever reaches a user of the heatmap.

    Args:
        activations: the feature maps.
        method: a name or a callable.
        gradients: of a class score with respect to them, given for methods that need them alone.
        relu: whether a method that weighs evidence for the class against evidence against it keeps the former alone.

    Returns:
        Maps ``(B, h, w)`` in float32, and whether each was finite, ``(B, 1, 1)``.

    Raises:
        InvalidArgumentError: for an unknown method, or a callable that returns the wrong shape.
    """
    function = resolve_fusion(method)
    activations = tf.cast(activations, tf.float32)
    arguments = [activations]
    if needs_gradients(method):
        arguments.append(tf.cast(gradients, tf.float32))
    fused = function(*arguments)
    if callable(method):
        fused = _checked(fused, activations, method)
    maps, finite = _finite(fused)
    return (rectified(maps, method) if relu else maps), finite


def rectified(maps: Any, method: str | Fusion) -> Any:
    """The evidence for the class alone, where a method's maps hold evidence of both signs."""
    return tf.nn.relu(maps) if not callable(method) and method in _SIGNED else maps


def _finite(maps: Any) -> tuple[Any, Any]:
    """Maps with zeros for images that have NaN or infinity anywhere, and which images have none, ``(B, 1, 1)``."""
    space = list(range(1, maps.shape.rank))
    # x - x is 0 for finite numbers and NaN for all others: true in graphs, under XLA and in TensorFlow Lite, where
    # tf.debugging.check_numerics does nothing. Their mean, unlike a comparison of each, is a thing for XNNPACK.
    finite = tf.reduce_mean(maps - maps, space, keepdims=True) == 0.0
    return zeros_unless(finite, maps), finite


def _checked(fused: Any, activations: Any, method: Fusion) -> Any:
    expected = activations.shape[:-1]
    if not tf.is_tensor(fused) or not fused.shape.is_compatible_with(expected):
        received = fused.shape if tf.is_tensor(fused) else type(fused).__name__
        raise InvalidArgumentError(
            f"`method` must return one map per image, of shape {tuple(expected)}, from feature maps of shape "
            f"{tuple(activations.shape)}. Received: {received} from {method_name(method)!r}. Reduce the last axis "
            "(channels) only."
        )
    return tf.ensure_shape(tf.cast(fused, tf.float32), expected)
