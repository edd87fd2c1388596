"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visualcnn_tf._checks import bad_value


@contextmanager
def whole_folder(path: Path, overwrite: bool) -> Iterator[Path]:
    """Yields a temporary sibling of ``path``, which takes its place when the ``with`` block ends without an error.

    Raises:
        InvalidArgumentError: when ``path`` exists and may not be overwritten.
    """
    if path.exists() and not overwrite:
        raise bad_value("path", "a path that does not exist yet", str(path), "Pass `overwrite=True` to replace it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    replaced = temporary.with_name(temporary.name + ".old")
    try:
        yield temporary
        if path.exists():
            path.rename(replaced)
        try:
            temporary.rename(path)
        except OSError:
            if replaced.exists():
                replaced.rename(path)
            raise
    finally:
        for leftover in (temporary, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def next_version(folder: Path) -> Path:
    """The next free numbered folder inside of ``folder``: one more than the highest."""
    taken = [int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal()] if folder.is_dir() else []
    return folder / str(max(taken, default=0) + 1)


def write_file(path: str | os.PathLike[str], content: bytes) -> Path:
    """Writes a file at once or not at all, so that nobody ever reads half of one; makes its directory."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
