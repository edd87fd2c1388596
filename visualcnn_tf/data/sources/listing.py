"""List the files that a source means. TensorFlow, Spark and others have listings that leave out empty files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from visualcnn_tf._utils.checks import as_path, bad_value
from visualcnn_tf.data.files import Location, locate
from visualcnn_tf.errors import InvalidTypeError
from visualcnn_tf.io.image_files import ENDINGS

#: A folder, a pattern, a file, or a list of files; on this machine, or by an address.
Files: TypeAlias = str | os.PathLike[str] | list[str | os.PathLike[str]] | tuple[str | os.PathLike[str], ...]

_WILD = re.compile(r"[*?\[]")
_PARQUET = re.compile(r"\.(parquet|pq)$", re.IGNORECASE)
_TFRECORD = re.compile(r"\.tfrec(ord)?s?(\.gz|-\d+-of-\d+)?$", re.IGNORECASE)
_PARTS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True)
class Listing:
    """Files of one kind.

    Attributes:
        root: The folder that their names start from.
        sizes: Their names, in order, with their sizes in bytes; -1 where they are not known.
        kind: What they are.
    """

    root: str
    sizes: dict[str, int]
    kind: str


def list_files(source: Files, out: Location) -> Listing:
    """Return the files that a source means: of a folder those in it, at any depth, in the order of their names.

    Of a folder and a pattern, hidden files are left out, and what lies in ``out``; of a folder also files with names
    that don't end as those of images, Parquet or TFRecord files do.

    Raises:
        InvalidArgumentError: If there are none, or files of several kinds.
        InvalidTypeError: If ``source`` is none of these.
    """
    if isinstance(source, (list, tuple)):
        root, sizes = _of_list([os.fspath(as_path("source", path)) for path in source])
    elif isinstance(source, (str, os.PathLike)):
        root, sizes = _of_path(os.fspath(source), out)
    else:
        raise InvalidTypeError(
            "`source` must be a folder, a pattern, a file, a list of files, or a `tf.data.Dataset`. Received: "
            f"{source!r} of type {type(source).__name__}."
        )
    kinds = sorted({kind_of(name) or "images" for name in sizes})
    if len(kinds) != 1:
        advice = f"Here are {' and '.join(kinds)}: choose with a pattern, such as 'photos/**/*.jpg'."
        if not kinds:
            advice = "Here are no image, Parquet or TFRecord files with the usual endings."
        raise bad_value("source", "files of one kind", str(source), advice)
    return Listing(root, sizes, kinds[0])


def kind_of(name: str) -> str | None:
    """Return what a file is by its name: ``"images"``, ``"parquet"``, ``"tfrecord"`` or None."""
    if _PARQUET.search(name):
        return "parquet"
    if _TFRECORD.search(name):
        return "tfrecord"
    return "images" if PurePosixPath(name).suffix.lower() in ENDINGS else None


def _of_list(paths: list[str]) -> tuple[str, dict[str, int]]:
    """Return the folder that all paths start with, and the rest of each."""
    whole = [path if "://" in path else os.path.abspath(path) for path in paths]
    # Of texts, because `commonpath` does not know addresses.
    same = os.path.commonprefix([f"{path.rpartition('/')[0]}/" for path in whole])  # noqa: RUF071
    root = same.rpartition("/")[0] + "/"
    if not root.rstrip("/").rpartition(":")[2] and whole and "://" in whole[0]:
        raise bad_value("source", "a list of files on one file system", paths[:3])
    folder = locate(root)
    return root, {path[len(root) :]: _size(folder, path[len(root) :]) for path in whole}


def _size(folder: Location, name: str) -> int:
    """Return the size of a file on this machine; asking for that of others takes 50 ms each."""
    return int(folder.files.get_file_info((folder / name).path).size or 0) if folder.is_local else -1


def _of_path(path: str, out: Location) -> tuple[str, dict[str, int]]:
    as_path("source", path)
    location = locate(path)
    if location.is_file:
        root, _, name = path.rpartition("/") if "/" in path else (".", "", path)
        return root or "/", {name: location.files.get_file_info(location.path).size}
    wild = _WILD.search(path)
    root, pattern = (path, None) if wild is None or location.exists else _split(path, wild.start())
    folder = locate(root)
    if not folder.exists:
        raise bad_value("source", "a folder, a pattern or a file that is there", path)
    matches = re.compile(_expression(pattern)).fullmatch if pattern else kind_of
    inside = f"{out.path}/".removeprefix(f"{folder.path.rstrip('/')}/")
    if not inside:
        raise bad_value("out", "another folder than the source", out.path)
    sizes = folder.listing(recursive=True)
    return root, {name: sizes[name] for name in sorted(_shown(sizes)) if matches(name) and not name.startswith(inside)}


def _shown(names: Iterable[str]) -> Iterable[str]:
    return (name for name in names if not any(part.startswith(".") for part in name.split("/")))


def _split(path: str, wild: int) -> tuple[str, str]:
    """Return the folder before the first part with a wildcard, and the pattern in it."""
    cut = path.rfind("/", 0, wild)
    return (path[:cut] or "/", path[cut + 1 :]) if cut >= 0 else (".", path)


def _expression(pattern: str) -> str:
    """Return a regular expression for a pattern of the shell."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return "".join(_PARTS.get(part) or (part if part.startswith("[") else re.escape(part)) for part in parts)
