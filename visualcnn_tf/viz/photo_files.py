"""Files of photos, and what they are called in titles."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from visualcnn_tf._utils.checks import as_path, bad_value
from visualcnn_tf.errors import ImageReadError
from visualcnn_tf.io.image_files import image_files

#: A file, a folder, or a list of these.
PhotoPaths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_WIDTH = 30  # characters of a name


@dataclass(frozen=True)
class PhotoFile:
    """A file of a photo.

    Attributes:
        path: The file.
        name: What it is called in titles: where it is in the folder that it was found in.
        subfolder: The folder in that folder that it is in, None if it is in none.
    """

    path: Path
    name: str
    subfolder: str | None = None


def photo_files(paths: PhotoPaths) -> list[PhotoFile]:
    """Return the photos that paths mean: files as they are, and of a folder those in it and in its folders, in order.

    Raises:
        InvalidTypeError: One of them is no path.
        ImageReadError: A file is missing, or a folder holds no image file.
    """
    files: list[PhotoFile] = []
    for path in as_paths(paths):
        if not path.exists():
            raise ImageReadError(f"There is no image file or folder `{path}`.")
        if path.is_dir():
            files += [_in_folder(file, path) for file in image_files([path])]
        else:
            files.append(PhotoFile(path, _shortened(path.name)))
    return files


def as_paths(paths: PhotoPaths) -> list[Path]:
    """Return one or several paths as a list.

    Raises:
        InvalidTypeError: One of them is no path.
        InvalidArgumentError: There is none.
    """
    several = paths if isinstance(paths, Iterable) and not isinstance(paths, (str, bytes)) else [paths]
    found = [as_path("photos", path) for path in several]
    if not found:
        raise bad_value("photos", "a file, a folder, or a list of at least one", paths)
    return found


def _in_folder(file: Path, folder: Path) -> PhotoFile:
    inside = file.relative_to(folder)
    return PhotoFile(file, _shortened(inside.as_posix()), inside.parts[0] if len(inside.parts) > 1 else None)


def _shortened(name: str) -> str:
    """Return a name, of a long one the end."""
    return name if len(name) <= _WIDTH else f"…{name[1 - _WIDTH :]}"
