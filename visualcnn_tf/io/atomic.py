"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.errors import PathNotWritableError
from visualcnn_tf.io.rename import exchange, rename_new

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
    except PathNotWritableError:
        raise
    except (OSError, *_TENSORFLOW_ERRORS) as error:
        reason = getattr(error, "strerror", None) or str(error).split("; ")[-1].split(" [Op:")[0]
        raise PathNotWritableError(
            f"`path` must be a place that can be written to. Received: {str(path)!r}: {reason}. Check its permissions "
            "and the free space, or choose another one; nothing was left there."
        ) from error


@contextmanager
def whole_folder(path: Path, overwrite: bool, holds: str) -> Iterator[Path]:
    """Yields a temporary sibling of ``path``, which takes its place when the ``with`` block ends without an error.

    A process that is killed meanwhile leaves the sibling, ``.NAME.<32 hexadecimal digits>.partial``, and ``path`` as
    it was.

    Args:
        path: the folder; through symbolic links, what they lead to.
        overwrite: whether an earlier one is replaced.
        holds: pattern of a file that every earlier one holds. A folder without is somebody's work and not replaced.

    Raises:
        InvalidArgumentError: when ``path`` exists and may not be overwritten.
        PathNotWritableError: when it, or the folder that it is in, can't be written.
    """
    real = _real(path)
    with writing(path):
        _check_replaceable(path, real, overwrite, holds)
        real.parent.mkdir(parents=True, exist_ok=True)
    temporary = _sibling(real)
    replaced = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        with writing(path):
            _take_place(temporary, real, replaced, overwrite)
    finally:
        for leftover in (temporary, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def check_free(path: Path, overwrite: bool, argument: str = "path", advice: str = "Pass `overwrite=True`") -> None:
    """Raises for a path that exists, unless it may be overwritten.

    Args:
        path: where something is to be written.
        overwrite: whether what is there may be replaced.
        argument: what the user calls the path.
        advice: how the user allows it to be replaced.

    Raises:
        InvalidArgumentError: it exists.
        PathNotWritableError: its name is one that the system does not take.
    """
    with writing(path):
        if path.exists() and not overwrite:
            raise bad_value(argument, "a path that does not exist yet", str(path), f"{advice} to replace it.")


def _check_replaceable(path: Path, real: Path, overwrite: bool, holds: str) -> None:
    check_free(path, overwrite)
    if not real.exists():
        return
    is_earlier = real.is_dir() and (not any(real.iterdir()) or any(real.glob(holds)))
    if not is_earlier or Path.cwd().is_relative_to(real):
        raise bad_value(
            "path",
            f"a new path or, with `overwrite=True`, a folder that is empty or holds {holds}, and not the current one",
            str(path),
            "Nothing else is deleted: remove it yourself, or choose another path.",
        )


def _take_place(temporary: Path, path: Path, replaced: Path, overwrite: bool) -> None:
    if not (overwrite and path.exists()):
        rename_new(temporary, path)  # not over what another process has put there meanwhile
        return
    if exchange(temporary, path):
        return
    # Without an exchange of names there is a moment in which nothing has this name.
    path.rename(replaced)
    try:
        temporary.rename(path)
    except OSError:
        replaced.rename(path)
        raise


def _real(path: Path) -> Path:
    """Without symbolic links and dots, so that it has a name and a sibling on the same disk."""
    return Path(os.path.realpath(path))


def _sibling(path: Path) -> Path:
    # Hidden, and no number: TensorFlow Serving does not take it for a version. Cut, because names have a limit.
    return path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.partial")


def next_version(folder: Path) -> Path:
    """The next free numbered folder inside of ``folder``: one more than the highest."""
    taken = [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    return folder / str(max(taken, default=0) + 1)


def write_file(path: Path, content: bytes, overwrite: bool = True) -> Path:
    """Writes a file at once or not at all, so that nobody ever reads half of one; makes its directory.

    Raises:
        PathNotWritableError: when it can't be written, also because it is no file but a device, say.
    """
    real = _real(path)
    temporary = _sibling(real)
    with writing(path):
        if real.exists() and not real.is_file() and not real.is_dir():
            raise OSError(errno.EINVAL, "Not a regular file")  # it would be replaced by one
        real.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            if overwrite:
                temporary.replace(real)
            else:
                rename_new(temporary, real)
        finally:
            temporary.unlink(missing_ok=True)
    return path
