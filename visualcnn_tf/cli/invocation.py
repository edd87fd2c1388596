"""How the command was started, and how to start it again."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

NAME = "visualcnn"
_FILES = (NAME, f"{NAME}.exe")
_PACKAGE = "visualcnn_tf"


def is_command() -> bool:
    """Return whether this process is the command ``visualcnn`` or ``python -m visualcnn_tf``."""
    if sys.argv[:1] == ["-m"]:  # while Python imports the package, before it runs `__main__.py`
        return ("-m", _PACKAGE) in pairwise(sys.orig_argv)
    return Path(*sys.argv[:1]).name in _FILES


def command_line(words: Sequence[str]) -> str:
    """Return a line for the shell that starts this program again, with other arguments.

    Args:
        words: The arguments, not quoted.
    """
    line = [*_program(), *words]
    return subprocess.list2cmdline(line) if os.name == "nt" else shlex.join(line)


def _program() -> list[str]:
    """Return the words that start this program from the working folder, as short as the user could type them."""
    program = Path(*sys.argv[:1])
    if program.parts[-2:] == (_PACKAGE, "__main__.py"):
        return [sys.orig_argv[0], "-m", _PACKAGE]
    if program.name not in _FILES or _is_on_path(program):
        return [NAME]
    folder = Path.cwd()
    path = program.relative_to(folder) if program.is_relative_to(folder) else program
    return [os.path.join(os.curdir, path) if len(path.parts) == 1 else str(path)]


def _is_on_path(program: Path) -> bool:
    """Return whether the shell finds the program by its name alone."""
    if "UV" in os.environ:  # `uv run` puts the program's folder on the PATH, but not on that of the shell
        return False
    found, started = shutil.which(NAME), shutil.which(program)
    return found is not None and started is not None and os.path.samefile(found, started)
