"""File systems that are full or read-only, for root and everybody else: a small tmpfs, where mounting is allowed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tmpfs(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mounts that much memory at ``folder``; skips the test, saying so, where that is not allowed."""
    folder.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "visualcnn-test", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("NOT TESTED ON A FULL DISK: there is no `mount` here")
    if done.returncode:
        pytest.skip(f"NOT TESTED ON A FULL DISK: a tmpfs can't be mounted here ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def make_read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
