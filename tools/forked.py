"""Run tests in a fork of this process, with the source of one module replaced."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import linecache
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

# Imported here once, so that no fork has to. Nothing of it may run here: threads do not survive a fork.
import keras  # noqa: F401
import pytest
import scipy.ndimage  # noqa: F401
import tensorflow  # noqa: F401

_MEMORY = 16 * 2**30


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles another source in place of the file's."""

    source = ""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        _cache_lines(path, self.source)
        return compile(self.source, path, "exec")


def _cache_lines(path: str, source: str) -> None:
    """Let AutoGraph, which reads the source of the functions that it compiles, find the replaced one."""
    lines, from_disk = source.splitlines(keepends=True), linecache.updatecache

    def update(filename: str, module_globals: dict[str, Any] | None = None) -> list[str]:
        if filename != path:
            return from_disk(filename, module_globals)
        linecache.cache[path] = (len(source), None, lines, path)
        return lines

    linecache.updatecache = update
    update(path)


class _Replaced:
    """Finds one module, with its source replaced."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None
        assert spec.origin is not None
        loader = _Loader(name, spec.origin)
        loader.source = self.source
        folders = spec.submodule_search_locations
        return importlib.util.spec_from_file_location(
            name, spec.origin, loader=loader, submodule_search_locations=folders
        )


def outcome_in_fork(name: str, source: str, tests: Sequence[str], seconds: int) -> str:
    """Return ``"killed"`` if a test fails, ``"timeout"``, or ``"survived"`` if every test passes.

    The limit holds for processor time; the limit by the clock is ten times as long, so that a busy machine kills no
    mutant.
    """
    if name.split(".")[0] in sys.modules:
        raise RuntimeError(f"{name.split('.')[0]} is already imported: a fork would not see the replaced source")
    child = os.fork()
    if not child:
        os._exit(_run(name, source, tests, seconds))
    end = time.monotonic() + 10 * seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
                return "timeout"
            return "survived" if status == 0 else "killed"
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _run(name: str, source: str, tests: Sequence[str], seconds: int) -> int:
    """Run the tests in the fork; return pytest's exit code."""
    try:
        os.setpgid(0, 0)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, 2 * seconds))
        sys.meta_path.insert(0, _Replaced(name, source))  # type: ignore[arg-type]
        return int(pytest.main([*tests, "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]))
    except BaseException:
        return 1


def passes(tests: Sequence[str], seconds: int) -> bool:
    """Return whether the tests pass with the original source: otherwise every mutant would count as killed."""
    return outcome_in_fork("visualcnn_tf", Path("visualcnn_tf/__init__.py").read_text(), tests, seconds) == "survived"
