"""The short forms of targets of classes: names, class indices, lists of these."""

from __future__ import annotations

from typing import Any

import numpy as np

from visualcnn_tf._utils.checks import bad_value, did_you_mean
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.targets.base import ClassTarget
from visualcnn_tf.targets.class_index import ClassIndex, is_class_index
from visualcnn_tf.targets.from_input import FromInput
from visualcnn_tf.targets.predicted import Predicted
from visualcnn_tf.targets.top_k import TopK

#: What they are, for an error.
SHORT_FORMS = "'predicted', 'input', 'top<n>' such as 'top3', a class index, a list of different ones"


def class_target(identifier: Any, argument: str, allowed: str = SHORT_FORMS) -> ClassTarget:
    """Return the target that ``"predicted"``, ``"input"``, ``"top<n>"``, a class index or several are short for.

    Args:
        identifier: one of these.
        argument: what an error calls it.
        allowed: what an error says that it may be.

    Raises:
        InvalidArgumentError: for anything else; the message offers near misses.
    """
    try:
        found = _named(identifier) if isinstance(identifier, str) else _indexed(identifier)
    except InvalidArgumentError:
        found = None
    if found is None:
        near = did_you_mean(identifier, ("predicted", "input", "top3")).strip() if isinstance(identifier, str) else ""
        raise bad_value(argument, allowed, identifier, near)
    return found


def _named(name: str) -> ClassTarget | None:
    if name == "predicted":
        return Predicted()
    if name == "input":
        return FromInput()
    if name.startswith("top") and name[3:].isdecimal():
        return TopK(int(name[3:]))
    return None


def _indexed(index: Any) -> ClassTarget | None:
    return ClassIndex(index) if is_class_index(index) or isinstance(index, (list, tuple, np.ndarray)) else None
