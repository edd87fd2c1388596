"""Turn the names of classes into class indices."""

from __future__ import annotations

from collections.abc import Sequence

from visualcnn_tf._utils.checks import bad_value, did_you_mean
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.targets.registry import TargetLike, get

_SHOWN = 5  # names in an error


def named_target(target: TargetLike, names: Sequence[str], argument: str = "target") -> TargetLike:
    """Return a target with class indices in place of the names of classes; any other target as it is.

    What :func:`visualcnn_tf.targets.get` takes by itself, such as ``"predicted"``, is no name of a class.

    Args:
        target: A target, a class name, or a list of class indices and names.
        names: The names of all classes, in the order of their indices.
        argument: What an error calls the target.

    Raises:
        InvalidArgumentError: There is no class of that name, or there are several.

    Example:
        >>> named_target("dog", ["cat", "dog"]), named_target("top3", ["cat", "dog"])
        (1, 'top3')
    """
    if isinstance(target, str):
        return target if is_target(target) else index_of(target, names, argument)
    if isinstance(target, (list, tuple)):
        return [index_of(one, names, argument) if isinstance(one, str) else one for one in target]
    return target


def index_of(name: str, names: Sequence[str], argument: str) -> int:
    """Return the index of the class with this name, in any letter case if that leaves no doubt.

    Raises:
        InvalidArgumentError: There is no such class, or there are several.
    """
    found = [index for index, known in enumerate(names) if known == name] or [
        index for index, known in enumerate(names) if known.casefold() == name.casefold()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise bad_value(argument, "the name of one class", name, f"Several have it: use an index, one of {found}.")
    shown = ", ".join(repr(known) for known in names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    advice = did_you_mean(name, names).strip() or "The index of the class works, too."
    raise bad_value(argument, f"the name of a class ({shown})", name, advice)


def is_target(name: str) -> bool:
    """Return whether a string stands for a target by itself."""
    try:
        get(name)
    except InvalidArgumentError:
        return False
    return True
