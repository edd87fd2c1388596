"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from visualcnn_tf._checks import bad_value
from visualcnn_tf.errors import PathNotWritableError

# What TensorFlow makes of the system's errors when it writes.
_TENSORFLOW_ERRORS = (
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnknownError,
)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes of every failure to write inside of the ``with`` block an error that names ``path``.

    Raises:
        PathNotWritableError: for errors of the system, whether Python or TensorFlow met them.
    """
    try:
        yield
    except (OSError, *_TENSORFLOW_ERRORS) as error:
        reason = getattr(error, "strerror", None) or str(error).split("; ")[-1].split(" [Op:")[0]
        raise PathNotWritableError(
            f"`path` must be a place that can be written to. Received: {str(path)!r}: {reason}. Check its permissions "
            "and the free space, or choose another one; nothing was left there."
        ) from error


@contextmanager
def whole_folder(path: Path, overwrite: bool) -> Iterator[Path]:
    """Yields a temporary sibling of ``path``, which takes its place when the ``with`` block ends without an error.

    Raises:
        InvalidArgumentError: when ``path`` exists and may not be overwritten.
        PathNotWritableError: when it, or the folder that it is in, can't be written.
    """
    if path.exists() and not overwrite:
        raise bad_value("path", "a path that does not exist yet", str(path), "Pass `overwrite=True` to replace it.")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    replaced = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        with writing(path):
            _change_places(path, temporary, replaced)
    finally:
        for leftover in (temporary, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def _change_places(path: Path, temporary: Path, replaced: Path) -> None:
    if path.exists():
        path.rename(replaced)
    try:
        temporary.rename(path)
    except OSError:
        if replaced.exists():
            replaced.rename(path)
        raise


def next_version(folder: Path) -> Path:
    """The next free numbered folder inside of ``folder``: one more than the highest."""
    taken = [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    return folder / str(max(taken, default=0) + 1)


def write_file(path: str | os.PathLike[str], content: bytes) -> Path:
    """Writes a file at once or not at all, so that nobody ever reads half of one; makes its directory.

    Raises:
        PathNotWritableError: when it can't be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return path
