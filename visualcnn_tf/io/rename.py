"""Renaming that Python does not offer: two names exchanged at once, and a name that must be free."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from pathlib import Path
from typing import Any

_HERE = -100  # AT_FDCWD: paths are as for every other call
_NO_REPLACE, _EXCHANGE = 1, 2
# Answers of a system or a file system (some network drives) that has no such call.
_MISSING = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


def exchange(one: Path, other: Path) -> bool:
    """Lets two existing files or folders take each other's name, at once: no moment sees either name missing.

    Returns:
        Whether it happened: False where the system or the file system can't, as anywhere but on Linux.
    """
    return _renameat2(one, other, _EXCHANGE)


def rename_new(path: Path, free: Path) -> None:
    """Renames a file or folder, to a name that nothing has.

    Raises:
        FileExistsError: something has it.
    """
    if _renameat2(path, free, _NO_REPLACE):
        return
    if free.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(free))
    path.rename(free)


@cache
def _system_call() -> Any:
    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or a C library before 2018
        return None


def _renameat2(one: Path, other: Path, flag: int) -> bool:
    call = _system_call()
    if call is None:
        return False
    if call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), ctypes.c_uint(flag)) == 0:
        return True
    number = ctypes.get_errno()
    if number in _MISSING:
        return False
    raise OSError(number, os.strerror(number), str(other))
