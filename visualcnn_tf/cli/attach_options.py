"""From arguments of the command line to options of ``attach``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.cli.labels import chosen_class
from visualcnn_tf.methods.base import ChannelReplayMethod, Method
from visualcnn_tf.methods.registry import get as get_method
from visualcnn_tf.pipeline.options import DEFAULT_METHOD

_LARGEST = 8192  # pixels: a heatmap of this height and width takes 256 MB


def attach_options(arguments: Namespace, class_names: Sequence[str] | None) -> dict[str, Any]:
    """Return the options of ``attach`` that the commands share.

    Args:
        arguments: The arguments of the command.
        class_names: The names in the file of ``--labels``.

    Raises:
        InvalidArgumentError: An argument is not as described.
    """
    return {
        "layers": _one_or_all(arguments.layers),
        "method": _method(arguments.method, arguments.max_channels),
        "size": _size(arguments.size),
        "target": chosen_class(arguments.target, class_names),
        "output": arguments.output,
    }


def _method(name: str | None, max_channels: int | None) -> Method | None:
    """Return the method of a name, limited to so many channels; None for that of the target."""
    if name is None and max_channels is None:
        return None
    method = get_method(name or DEFAULT_METHOD, "--method")
    if max_channels is None:
        return method
    if not isinstance(method, ChannelReplayMethod):
        raise bad_value("--max-channels", "left out with methods other than 'scorecam' and 'ablationcam'", max_channels)
    return replace(method, max_channels=max_channels)


def _one_or_all(selectors: list[str | int] | None) -> str | int | list[str | int] | None:
    """Return a single selector by itself, because only then may it be a preset."""
    return selectors[0] if selectors and len(selectors) == 1 else selectors


def _size(words: Sequence[str] | None) -> str | tuple[int, int] | None:
    if words is None:
        return "input"
    if list(words) == ["native"]:
        return None
    if len(words) == 2 and all(word.isdecimal() and 0 < int(word) <= _LARGEST for word in words):
        return int(words[0]), int(words[1])
    allowed = f"'native' or a height and a width up to {_LARGEST}, such as 56 56"
    raise bad_value("--size", allowed, " ".join(words))
