"""Score: any scalar of a model's output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf._utils.serialization import callable_from_config, callable_to_config
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.targets.base import Given, Target
from visualcnn_tf.targets.graph_scores import FunctionScores, Scores
from visualcnn_tf.targets.logits import find_logits

#: From a model's output to one score for each image, ``(B,)``.
ScoreFunction: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
_BATCH = 3  # of the trial: a size that no other axis is likely to be reduced to


@keras.saving.register_keras_serializable(package="visualcnn_tf")
@dataclass(frozen=True)
class Score(Target):
    """Explain a scalar of your own: a pixel of a mask, a regression output, a difference of two classes.

    A function alone, ``target=lambda output: ...``, is short for ``Score(function)``.

    Args:
        function: of TensorFlow operations, from the model's output to one float score for each image, ``(B,)``. To be
            found again when a saved model is loaded, it must be registered with
            ``keras.saving.register_keras_serializable``.
        on: what the function gets: the model's ``"output"``, or its ``"logits"``, what the softmax or sigmoid of an
            output ``(B, …, K)`` reads. Where the model is sure of itself, gradients of a probability vanish and those
            of a logit do not, so ask for logits wherever the output is a softmax or sigmoid.

    Raises:
        InvalidArgumentError: for what is not callable and, in ``attach``, for a function that returns anything but one
            score for each image.

    Example:
        >>> Score(lambda logits: logits[:, 12, 40, 2], on="logits").on  # a pixel of a mask (B, H, W, K), class 2
        'logits'
    """

    function: ScoreFunction
    on: str = "output"

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise bad_value("function", "a callable (B, ..., K) -> (B,)", self.function)
        check_choice("on", self.on, ("output", "logits"))

    @property
    def reads_logits(self) -> bool:
        """Whether the function gets logits."""
        return self.on == "logits"

    def scores(self, output: tf.Tensor, given: Given | None = None) -> Scores:
        """Return the function's scores of an output, or of its logits."""
        return FunctionScores(output, self._of_output)

    def _of_output(self, output: tf.Tensor) -> tf.Tensor:
        if self.on == "output":
            return self.function(output)
        logits = find_logits(output).tensor
        has_extra_axes = logits.shape.rank != output.shape.rank
        return self.function(tf.reshape(logits, [-1, *output.shape[1:]]) if has_extra_axes else logits)

    def check(self, output: tf.Tensor) -> None:
        """Raise unless the function returns as many scores as there are images, tried with a batch of known size."""
        shape = [_BATCH, *output.shape[1:]] if output.shape.rank else output.shape
        trial = tf.function(self.function, autograph=False)
        score = trial.get_concrete_function(tf.TensorSpec(shape, output.dtype)).structured_outputs
        count = score.shape[0] if tf.is_tensor(score) and score.shape.rank == 1 else None
        if count not in (None, _BATCH):
            raise InvalidArgumentError(
                f"`target` must return one score for each image, (B,), of an output of shape {output.shape}. Received: "
                f"{count} scores for {_BATCH} images. Reduce or index every axis but the first."
            )

    def __repr__(self) -> str:
        """Name the function."""
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"Score({name}, on={self.on!r})"

    def get_config(self) -> dict[str, Any]:
        """Return the options, the function as Keras serializes it."""
        return {"function": callable_to_config(self.function), "on": self.on}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Score:
        """Return the target of a config."""
        return cls(callable_from_config(config["function"]), config["on"])
