"""The names of classes: the file of ``--labels``, and names in ``--class``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value, did_you_mean
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.targets.class_names import is_target, named_target
from visualcnn_tf.targets.registry import TargetLike

_ALLOWED = "'predicted', 'input', 'top<n>' such as 'top3', a class index, or the name of a class, with --labels FILE"


def read_labels(path: Path | None) -> list[str] | None:
    """Return the class names in a text file, one a line; None for no file.

    Raises:
        InvalidArgumentError: The file is missing or not in UTF-8.
    """
    if path is None:
        return None
    if not path.is_file():
        raise InvalidArgumentError(f"There is no file `{path}` for `--labels`.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"`--labels` must be a text file in UTF-8. Received: `{path}`.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def chosen_class(target: str | int, names: Sequence[str] | None) -> TargetLike:
    """Return what ``--class`` means, the index of a class for its name.

    Raises:
        InvalidArgumentError: It is no target, and no name of a class.
    """
    if names is not None:
        return named_target(target, names, "--class")
    if isinstance(target, str) and not is_target(target):
        raise bad_value("--class", _ALLOWED, target, did_you_mean(target, ("predicted", "input", "top3")).strip())
    return target


def check_labels(names: Sequence[str] | None, path: Path | None, explained: ExplainedModel) -> None:
    """Raise unless there is one name for each class of the model, as far as its number is known.

    Raises:
        InvalidArgumentError: There are more or fewer.
    """
    count = None if explained.plan is None else explained.plan.class_count
    if names is not None and count is not None and len(names) != count:
        raise InvalidArgumentError(
            f"`--labels` must name {count} classes, one a line. Received: {len(names)} in `{path}`."
        )
