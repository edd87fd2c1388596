"""The version of the installed package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """Return the version, or that there is none."""
    try:
        return version("visualcnn-tf")
    except PackageNotFoundError:
        return "of a source checkout"
