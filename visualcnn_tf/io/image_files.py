"""Find the image files in folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from visualcnn_tf.errors import ImageReadError

#: Of image files; with kinds that can't be read: an error names such a file, where leaving it out would be silent.
ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif"),
    *(".webp", ".heic", ".heif", ".avif", ".tif", ".tiff"),
)


def image_files(paths: Iterable[Path]) -> list[Path]:
    """Return the image files that paths mean: files as they are, and of a folder those in it, at any depth.

    A folder's files come in the order of their names, numbers by their value (2 before 10). Hidden files and folders
    are left out, and so are files whose names don't end as those of images do.

    Raises:
        ImageReadError: A folder holds no image file.
    """
    files: list[Path] = []
    for path in paths:
        found = list(_images_in(path)) if path.is_dir() else [path]
        if not found:
            raise ImageReadError(
                f"There is no image file in `{path}`, nor in its folders. Allowed are JPEG, PNG, BMP and GIF files "
                "with the usual endings."
            )
        files += found
    return files


def _images_in(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir(), key=_by_number):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _images_in(entry)
        elif entry.suffix.lower() in ENDINGS and entry.is_file():
            yield entry


def _by_number(path: Path) -> list[tuple[str, int]]:
    """Return a key that sorts numbers in names by their value."""
    return [(text, int(digits or -1)) for text, digits in re.findall(r"(\D*)(\d*)", path.name)]
