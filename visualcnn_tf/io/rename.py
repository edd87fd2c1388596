"""Rename files in two ways that Python lacks: exchange two names at once, and refuse to replace anything."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

_WORKING_DIRECTORY = -100  # AT_FDCWD: paths mean what they mean in every other call
_NO_REPLACE, _EXCHANGE = 1, 2
# Errors of a system or a file system (some network drives) that lacks the call.
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two existing files or folders at once: neither name is ever missing.

    Returns:
        Whether they were exchanged: False if the system or the file system cannot, as anywhere but on Linux.

    Raises:
        OSError: If it fails for another reason.
    """
    return _renameat2(one, other, _EXCHANGE)


def rename_new(path: Path, free: Path) -> None:
    """Rename a file or folder to a name that is free.

    Raises:
        FileExistsError: If the name is not free.
        OSError: If it fails for another reason.
    """
    if _renameat2(path, free, _NO_REPLACE):
        return
    if free.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(free))
    path.rename(free)


@cache
def _system_call() -> Callable[..., int] | None:
    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or a C library from before 2018
        return None


def _renameat2(one: Path, other: Path, flag: int) -> bool:
    """Call Linux's ``renameat2``; return False if there is none."""
    call = _system_call()
    if call is None:
        return False
    directory = _WORKING_DIRECTORY
    if call(directory, os.fsencode(one), directory, os.fsencode(other), ctypes.c_uint(flag)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(other))
