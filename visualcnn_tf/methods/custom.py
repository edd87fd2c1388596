"""Custom: a function of the user's as a method."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf._utils.serialization import callable_from_config, callable_to_config
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.methods.base import Method

#: ``(A) -> map`` or ``(A, G) -> map``.
FusionFunction: TypeAlias = Callable[..., tf.Tensor]


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Custom(Method):
    """Fuse feature maps by a function of your own.

    Args:
        function: of TensorFlow operations, from float32 feature maps ``(B, h, w, C)`` to maps ``(B, h, w)``; or of two
            required arguments, feature maps and the gradients of the target's score with respect to them. To be found
            again when a saved model is loaded, it must be registered with
            ``keras.saving.register_keras_serializable``.

    Raises:
        InvalidArgumentError: for what is not callable and, when it is used, for a function that returns another
            shape.

    Example:
        >>> import tensorflow as tf
        >>> Custom(lambda activations: tf.reduce_min(activations, -1))(tf.constant([[[[1.0, 3.0]]]])).numpy().tolist()
        [[[1.0]]]
    """

    function: FusionFunction

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise bad_value("function", "a callable (B, h, w, C) -> (B, h, w)", self.function)

    @property
    def name(self) -> str:  # type: ignore[override]
        """The function's name."""
        return str(getattr(self.function, "__name__", type(self.function).__name__))

    @property
    def needs_gradients(self) -> bool:  # type: ignore[override]
        """Whether the function has two required arguments."""
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):  # a builtin without a signature
            return False
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return sum(p.kind in positional and p.default is p.empty for p in parameters) == 2

    def __call__(self, activations: tf.Tensor, *gradients: tf.Tensor) -> tf.Tensor:
        """Return what the function returns, as float32 maps ``(B, h, w)``."""
        fused = self.function(activations, *gradients)
        expected = activations.shape[:-1]
        if not tf.is_tensor(fused) or not fused.shape.is_compatible_with(expected):
            received = fused.shape if tf.is_tensor(fused) else type(fused).__name__
            raise InvalidArgumentError(
                f"`method` must return one map per image, of shape {tuple(expected)}, from feature maps of shape "
                f"{tuple(activations.shape)}. Received: {received} from {self.name!r}. Reduce the last axis "
                "(channels) only."
            )
        return tf.ensure_shape(tf.cast(fused, tf.float32), expected)

    def magnitudes(self, *given: tf.Tensor) -> None:
        """Return None: what the function sums is not known."""
        return None

    def __repr__(self) -> str:
        """Name the function."""
        return f"Custom({self.name})"

    def get_config(self) -> dict[str, Any]:
        """Return the function, as Keras serializes it."""
        return {"function": callable_to_config(self.function)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Custom:
        """Return the method of a config."""
        return cls(callable_from_config(config["function"]))
