"""From the short forms of a target to its object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np

from visualcnn_tf._utils.checks import bad_value, did_you_mean
from visualcnn_tf.errors import InvalidArgumentError, InvalidTypeError
from visualcnn_tf.targets.base import Target
from visualcnn_tf.targets.class_index import ClassIndex, is_class_index
from visualcnn_tf.targets.from_input import FromInput
from visualcnn_tf.targets.predicted import Predicted
from visualcnn_tf.targets.score import Score, ScoreFunction
from visualcnn_tf.targets.top_k import TopK

#: What stands for a target: an object, a name, a class index, several of them, or a function of the model's output.
TargetLike: TypeAlias = Target | str | int | Sequence[int] | ScoreFunction

_ALLOWED = (
    "'predicted', 'input', 'top<n>' such as 'top3', a class index, a list of different ones, a function of the model's "
    "output, or a target object such as `ClassIndex(7)`"
)


def get(identifier: TargetLike | Mapping[str, object], argument: str = "target") -> Target:
    """Return a target.

    Args:
        identifier: a :class:`Target` (returned as it is), ``"predicted"``, ``"input"`` (:class:`FromInput`),
            ``"top<n>"`` (:class:`TopK`), a class index or several (:class:`ClassIndex`), a function
            (:class:`Score`), or the config that ``keras.saving.serialize_keras_object`` makes of a target.
        argument: what an error calls it.

    Raises:
        InvalidArgumentError: for anything else; the message offers near misses.
        InvalidTypeError: for a target's class in place of an object.

    Example:
        >>> get("top3"), get(7)
        (TopK(k=3), ClassIndex(index=7))
    """
    if isinstance(identifier, Target):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Target):
        raise InvalidTypeError(
            f"`{argument}` must be a target, not its class. Received: {identifier.__name__}. Call it: "
            f"`{identifier.__name__}(...)`."
        )
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        return get(keras.saving.deserialize_keras_object(identifier), argument)
    if callable(identifier):
        return Score(identifier)
    try:
        return _named(identifier) if isinstance(identifier, str) else _indexed(identifier)
    except InvalidArgumentError:
        near = did_you_mean(identifier, ("predicted", "input", "top3")).strip() if isinstance(identifier, str) else ""
        raise bad_value(argument, _ALLOWED, identifier, near) from None


def _named(name: str) -> Target:
    if name == "predicted":
        return Predicted()
    if name == "input":
        return FromInput()
    if name.startswith("top") and name[3:].isdecimal():
        return TopK(int(name[3:]))
    raise bad_value("target", _ALLOWED, name)


def _indexed(index: Any) -> Target:
    if is_class_index(index) or isinstance(index, (list, tuple, np.ndarray)):
        return ClassIndex(index)
    raise bad_value("target", _ALLOWED, index)
