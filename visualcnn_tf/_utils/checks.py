"""Argument checks with one wording: the argument, what is allowed, what was received, what to do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from visualcnn_tf._utils.near_misses import near_misses
from visualcnn_tf.errors import InvalidArgumentError, InvalidTypeError

if TYPE_CHECKING:
    import tensorflow as tf

#: The longest side, in pixels, of heatmaps and pictures: a longer one is a mistake, and takes up the memory.
LONGEST_SIDE = 16_384


def quoted(names: Iterable[object]) -> str:
    """Return names in quotes, with commas between: ``'a', 'b', 'c'``."""
    return ", ".join(repr(name) for name in names)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a sentence that offers near misses, or an empty string."""
    near = near_misses(name, known)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


def bad_value(argument: str, allowed: str, received: object, advice: str = "") -> InvalidArgumentError:
    """Return the error for an argument with a value that is not allowed."""
    return InvalidArgumentError(
        f"`{argument}` must be {allowed}. Received: {received!r}.{' ' if advice else ''}{advice}"
    )


def check_choice(argument: str, value: object, allowed: Sequence[object], also: str = "") -> None:
    """Raise unless ``value`` is one of ``allowed``; ``also`` names what else the argument may be."""
    if any(value is option or (type(value) is type(option) and value == option) for option in allowed):
        return
    names = [option for option in allowed if isinstance(option, str)]
    raise bad_value(
        argument,
        f"one of {quoted(allowed)}{' or ' + also if also else ''}",
        value,
        did_you_mean(value, names).strip() if isinstance(value, str) else "",
    )


def is_count(value: object) -> bool:
    """Return whether ``value`` is an integer of at least 1, and no bool."""
    return hasattr(value, "__index__") and not isinstance(value, bool) and int(value) >= 1


def as_tensor(argument: str, value: object) -> tf.Tensor:
    """Return a tensor of anything that can be one.

    Raises:
        InvalidTypeError: For anything else.
    """
    import tensorflow as tf  # not above: the command line checks its arguments before TensorFlow is there

    try:
        return tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise InvalidTypeError(
            f"`{argument}` must be an array or a tensor of numbers. Received: {value!r} of type {type(value).__name__}."
        ) from error


def as_path(argument: str, path: object) -> Path:
    """Return a path, for a path or a string that can be one.

    Raises:
        InvalidTypeError: For anything else.
        InvalidArgumentError: For an empty string, or one that no system takes.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise InvalidTypeError(
            f"`{argument}` must be a path: a string or a `pathlib.Path`. Received: {path!r} of type "
            f"{type(path).__name__}."
        )
    if not os.fspath(path) or "\0" in os.fspath(path):
        raise bad_value(argument, "the name of a file or folder", path)
    return Path(path)


def check_is_keras_file(path: object, advice: str) -> None:
    """Raise for an HDF5 file, which holds no class of ours; ``advice`` is the end of the message."""
    if str(path).endswith((".h5", ".hdf5")):
        raise bad_value("filepath", "a file that ends in .keras", str(path), advice)
