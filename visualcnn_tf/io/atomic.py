"""Write files and folders atomically: they appear completely, or not at all."""

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

# What TensorFlow raises when the system refuses to write.
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
    """Turn every failure to write inside of the ``with`` block into an error that names ``path``.

    Raises:
        PathNotWritableError: If the system refuses to write, to Python or to TensorFlow.
    """
    try:
        yield
    except PathNotWritableError:
        raise
    except (OSError, *_TENSORFLOW_ERRORS) as error:
        reason = getattr(error, "strerror", None) or str(error).split("; ")[-1].split(" [Op:")[0]
        raise PathNotWritableError(
            f"`path` must be a file or folder that can be written. Received: {str(path)!r}: {reason}. Check its "
            "permissions and the free space, or choose another path; nothing was left there."
        ) from error


@contextmanager
def whole_folder(path: Path, overwrite: bool, holds: str) -> Iterator[Path]:
    """Yield a temporary folder next to ``path``, and rename it to ``path`` if the ``with`` block raises no error.

    A process that is killed in the meantime leaves the temporary folder, ``.NAME.<32 hexadecimal digits>.partial``, and
    ``path`` as it was.

    Args:
        path: The folder. Symbolic links are followed.
        overwrite: Whether to replace an earlier folder.
        holds: A pattern of a file that every earlier folder holds. A folder without it is somebody's work, and never
            replaced.

    Yields:
        The temporary folder, which does not exist yet.

    Raises:
        InvalidArgumentError: If ``path`` exists and may not be overwritten.
        PathNotWritableError: If ``path``, or the folder that it is in, cannot be written.
    """
    real = _real(path)
    with writing(path):
        _check_replaceable(path, real, overwrite, holds)
        real.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_sibling(real)
    replaced = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        with writing(path):
            _put_in_place(temporary, real, replaced, overwrite)
    finally:
        for leftover in (temporary, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def check_free(path: Path, overwrite: bool, argument: str = "path", advice: str = "Pass `overwrite=True`") -> None:
    """Raise if a path exists and may not be overwritten.

    Args:
        path: The path to write to.
        overwrite: Whether to replace what is there.
        argument: The user's name for the path, for the error.
        advice: How the user allows replacing it, for the error.

    Raises:
        InvalidArgumentError: If it exists.
        PathNotWritableError: If the system does not allow its name.
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


def _put_in_place(temporary: Path, path: Path, replaced: Path, overwrite: bool) -> None:
    if not (overwrite and path.exists()):
        rename_new(temporary, path)  # fails if another process has written there in the meantime
        return
    if exchange(temporary, path):
        return
    # Without a way to exchange names, there is a moment in which no folder has this name.
    path.rename(replaced)
    try:
        temporary.rename(path)
    except OSError:
        replaced.rename(path)
        raise


def _real(path: Path) -> Path:
    """Return a path without symbolic links and dots, so that its last part is a name on the disk it is written to."""
    return Path(os.path.realpath(path))


def _temporary_sibling(path: Path) -> Path:
    # Hidden and not a number, so that TensorFlow Serving does not take it for a version. Shortened, because the length
    # of names is limited.
    return path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.partial")


def next_version(folder: Path) -> Path:
    """Return the next free numbered folder inside of ``folder``: one more than the highest."""
    taken = [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    return folder / str(max(taken, default=0) + 1)


def write_file(path: Path, content: bytes, overwrite: bool = True) -> Path:
    """Write a file atomically, so that nobody ever reads half of it, and make its directory.

    Returns:
        The path.

    Raises:
        PathNotWritableError: If it cannot be written, for example because it is a device and not a file.
    """
    real = _real(path)
    temporary = _temporary_sibling(real)
    with writing(path):
        if real.exists() and not real.is_file() and not real.is_dir():
            raise OSError(errno.EINVAL, "Not a regular file")  # a rename would replace it with one
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
