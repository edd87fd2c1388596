"""From the short forms of a target to its object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import keras

from visualcnn_tf.errors import InvalidTypeError
from visualcnn_tf.targets.base import Target
from visualcnn_tf.targets.score import Score, ScoreFunction
from visualcnn_tf.targets.short_forms import SHORT_FORMS, class_target

#: What stands for a target: an object, a name, a class index, several of them, or a function of the model's output.
TargetLike: TypeAlias = Target | str | int | Sequence[int] | ScoreFunction

_ALLOWED = f"{SHORT_FORMS}, a function of the model's output, or a target object such as `ClassIndex(7)`"


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
    return class_target(identifier, argument, _ALLOWED)
