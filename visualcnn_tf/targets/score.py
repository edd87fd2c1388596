"""The score of a class: its logit, found by walking back from the model's output.

At a probability of 1.0 the derivative of the probability, and of its logarithm, is lost in rounding; that of the
logit is not. So the walk starts at the input of the softmax or sigmoid, without touching the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, is_count
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.gradients.inline import inline_call
from visualcnn_tf.gradients.last_layer import last_layer
from visualcnn_tf.gradients.tensors import PASS_THROUGH, gradient_dtype, to_gradient_dtype

Target: TypeAlias = str | int | Sequence[int] | Callable[..., Any]

_ALLOWED = (
    "'predicted', 'input', 'top<n>' such as 'top3', a class index, a list of different ones, or a callable of the "
    "model's output"
)
#: The class index that means: whichever the model predicts.
PREDICTED = -1


def check_target(target: Any) -> Target:
    """The target in its canonical form.

    Raises:
        InvalidArgumentError: for anything that is not allowed.
    """
    if isinstance(target, np.ndarray):
        target = target.tolist()
    if callable(target):
        function: Callable[..., Any] = target
        return function
    if isinstance(target, str) and target in ("predicted", "input"):
        return target
    # No model has so many classes, and each gets a key of its own before their number is known.
    if isinstance(target, str) and target.startswith("top") and target[3:].isdecimal() and 0 < int(target[3:]) < 2**16:
        return target
    if _is_index(target):
        return int(target)
    if isinstance(target, (list, tuple)) and target and all(_is_index(k) for k in target):
        classes = tuple(int(k) for k in target)
        if len(set(classes)) == len(classes):
            return classes
    raise bad_value("target", _ALLOWED, target)


def _is_index(value: Any) -> bool:
    return is_count(value) or (hasattr(value, "__index__") and not isinstance(value, bool) and int(value) == 0)


def suffixes(target: Target) -> list[str]:
    """What is added to the keys of the heatmaps, one for each score that the target asks for."""
    if isinstance(target, tuple):
        return [f"_class{k}" for k in target]
    if isinstance(target, str) and target.startswith("top"):
        return [f"_top{place}" for place in range(1, int(target[3:]) + 1)]
    return [""]


@dataclass(frozen=True, eq=False)
class Head:
    """The end of a classifier.

    Attributes:
        output: what the model returns, ``(B, K)``.
        logits: what its softmax or sigmoid reads, ``(B, K)`` or ``(B, 1, 1, K)``, or the output itself.
        kind: ``"softmax"``, ``"sigmoid"`` or ``"linear"``.
    """

    output: Any
    logits: Any
    kind: str

    @property
    def classes(self) -> int:
        """Number of classes: a single sigmoid unit tells two."""
        units = int(self.output.shape[-1])
        return 2 if self.is_binary else units

    @property
    def is_binary(self) -> bool:
        """Whether one sigmoid unit stands for two classes."""
        return self.kind == "sigmoid" and self.output.shape[-1] == 1


def find_head(output: Any) -> Head:
    """The softmax or sigmoid that a model's output, a tensor of the graph that is being built, comes from.

    Raises:
        InvalidArgumentError: for an output that is not ``(B, K)`` with a known number of units.
    """
    if output.shape.rank != 2 or output.shape[-1] is None or not output.dtype.is_floating:
        raise InvalidArgumentError(
            "`target` must be a callable for an output that is not (B, K) scores of classes, such as "
            f"`target=lambda output: ...` of shape (B,). Received: an output of shape {output.shape} and type "
            f"{output.dtype.name}."
        )
    tensor = output
    while True:
        op = tensor.op
        if op.type in ("Softmax", "LogSoftmax"):
            return Head(output, op.inputs[0], "softmax")
        if op.type == "Sigmoid":
            return Head(output, op.inputs[0], "sigmoid")
        inner = inline_call(op)
        if inner is not None:
            tensor = inner[1][tensor.value_index]
        elif op.type in PASS_THROUGH or (op.type in ("Reshape", "Squeeze") and _same_units(op.inputs[0], output)):
            tensor = op.inputs[0]
        else:
            return Head(output, output, "linear")


def _same_units(tensor: Any, output: Any) -> bool:
    """Whether a tensor is ``(B, K)``, or the same with axes of size 1 between."""
    sizes = tensor.shape.as_list() if tensor.shape.rank else []
    return len(sizes) > 1 and sizes[-1] == output.shape[-1] and all(n == 1 for n in sizes[1:-1])


def _as_int32(class_index: Any) -> Any:
    """Without wrapping round: a number that is far too large must not become the number of a class."""
    dtype = class_index.dtype
    if dtype.max > tf.int32.max:
        class_index = tf.minimum(class_index, tf.cast(tf.int32.max, dtype))
        if not dtype.is_unsigned:
            class_index = tf.maximum(class_index, tf.cast(tf.int32.min, dtype))
    return tf.cast(class_index, tf.int32)


class Scores:
    """What is explained: one scalar per image for each class that the target asks for.

    Args:
        output: the model's output, a tensor of the graph that is being built.
        target: see ``attach``.
        class_index: for the target ``"input"``: the class of each image, ``(B,)`` int32; -1 is the predicted one.

    Attributes:
        classes: ``(B, n)`` int32, the explained classes, -1 where there is no such class; None for a callable.
    """

    def __init__(self, output: Any, target: Target, class_index: Any = None) -> None:
        self.target = target
        self.classes: Any = None
        if callable(target):
            self.output = output
            return
        self.head = find_head(output)
        self.classes = self._asked(class_index)

    def _asked(self, class_index: Any) -> Any:
        head, target = self.head, self.target
        if isinstance(target, (tuple, int)):
            wanted = list(target) if isinstance(target, tuple) else [target]
            _check_count(max(wanted) + 1, head, target)
            return tf.zeros_like(self._best(1)) + tf.constant([wanted], tf.int32)
        if target == "input":
            predicted = self._best(1)
            given = tf.reshape(_as_int32(class_index), [-1, 1])
            asked = tf.where(tf.equal(given, PREDICTED), predicted, given)
            known = tf.logical_and(asked >= 0, asked < head.classes)
            return tf.where(known, asked, -tf.ones_like(asked))
        if target == "predicted":
            return self._best(1)
        count = int(str(target)[3:])
        _check_count(count, head, target)
        return self._best(count)

    def _best(self, count: int) -> Any:
        """The likeliest classes, ``(B, count)``."""
        # From what the model returns: a reader of the logits would keep TensorFlow from fusing their layer with its
        # activation, and so change the last bits of the predictions.
        output = to_gradient_dtype(self.head.output)
        if self.head.is_binary:
            first = tf.cast(output > 0.5, tf.int32)
            return tf.concat([first, 1 - first], 1)[:, :count]
        if count == 1:
            return tf.expand_dims(tf.argmax(output, -1, output_type=tf.int32), 1)
        return tf.math.top_k(output, count).indices

    @property
    def result(self) -> Any:
        """The tensor to walk back from."""
        return _checked(self.target(self.output), self.output) if callable(self.target) else self.head.logits

    def seed(self, column: int) -> Any:
        """The derivative of the score of one column with respect to :attr:`result`, in float32."""
        if callable(self.target):
            return tf.ones_like(to_gradient_dtype(self.result))
        logits = self.head.logits
        signs = self._signs(self.classes[:, column : column + 1], gradient_dtype(logits.dtype))
        return signs if logits.shape.rank == 2 else tf.reshape(signs, [-1, *logits.shape[1:]])

    def one_hot(self, column: int) -> Any:
        """The classes ``(B, 1)`` of a seed that is one-hot, None for another."""
        if callable(self.target) or self.head.is_binary or self.head.logits.shape.rank != 2:
            return None
        return self.classes[:, column : column + 1]

    def _signs(self, classes: Any, dtype: tf.DType) -> Any:
        """``(B, units)``: 1 at the class of each image; -1 at a single sigmoid unit for class 0; zeros without one."""
        if self.head.is_binary:
            return _one_hot(classes, 2, dtype) @ tf.constant([[-1.0], [1.0]], dtype)
        return _one_hot(classes, self.head.output.shape[-1], dtype)

    def of(self, output: Any, column: int, repeats: int) -> Any:
        """The scores ``(B, repeats)`` in what the model returned for each image ``repeats`` times in a row."""
        if callable(self.target):
            scores = to_gradient_dtype(_checked(self.target(output), output))
        else:
            head, classes = find_head(output), self.classes[:, column : column + 1]
            last = None if head.is_binary else last_layer(head.logits)
            if last is not None:
                return last.scores(classes, repeats)
            logits = to_gradient_dtype(head.logits)
            signs = self._signs(classes, logits.dtype)
            return tf.reduce_sum(tf.reshape(logits, [-1, repeats, logits.shape[-1]]) * signs[:, tf.newaxis], -1)
        return tf.reshape(scores, [-1, repeats])


def _one_hot(classes: Any, count: int, dtype: tf.DType) -> Any:
    """``(B, count)`` of classes ``(B, 1)``: 1 at the class, zeros for -1."""
    # Of tf.one_hot, and of a comparison, TensorFlow Lite's converter makes an EMBEDDING_LOOKUP in the weights that
    # follow, which fails at -1 and is refused in integers.
    return tf.nn.relu(1.0 - tf.abs(tf.cast(tf.range(count)[tf.newaxis] - classes, dtype)))


def _check_count(count: int, head: Head, target: Target) -> None:
    if count > head.classes:
        raise bad_value("target", f"within the model's {head.classes} classes, 0 to {head.classes - 1}", target)


def _checked(score: Any, output: Any) -> Any:
    if not tf.is_tensor(score) or score.shape.rank != 1 or not score.dtype.is_floating:
        received = f"{score.shape} of type {score.dtype.name}" if tf.is_tensor(score) else type(score).__name__
        raise InvalidArgumentError(
            "`target` must return one float score for each image, (B,), in TensorFlow operations on the output of "
            f"shape {output.shape}. Received: {received}. Reduce all axes but the first."
        )
    return score
