"""Local folders and cloud storage by the same calls: pyarrow's file systems, and fsspec's where pyarrow has none."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, TYPE_CHECKING, cast

from visualcnn_tf.errors import InvalidArgumentError, MissingExtraError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

#: An encoded image of 64 megapixels is smaller, whatever its format.
LARGEST_FILE = 512 * 1024 * 1024


@dataclass(frozen=True)
class Location:
    """A file or a folder.

    Attributes:
        files: The file system.
        path: The path in it.
        is_local: Whether it is on this machine, where renaming is cheap and reading can start anywhere.
    """

    files: FileSystem
    path: str
    is_local: bool

    def __truediv__(self, name: str) -> Location:
        return Location(self.files, f"{self.path.rstrip('/')}/{name}" if self.path else name, self.is_local)

    @property
    def exists(self) -> bool:
        """Whether there is a file or folder."""
        from pyarrow.fs import FileType

        return bool(self.files.get_file_info(self.path).type != FileType.NotFound)

    @property
    def is_file(self) -> bool:
        """Whether there is a file."""
        return bool(self.files.get_file_info(self.path).is_file)

    def names(self) -> set[str]:
        """Return the names of the files and folders in a folder; none of one that is not there."""
        from pyarrow.fs import FileSelector

        return {info.base_name for info in self.files.get_file_info(FileSelector(self.path, allow_not_found=True))}

    def listing(self, recursive: bool = False) -> dict[str, int]:
        """Return the names of the files in a folder, and their sizes; no names of a folder that is not there."""
        from pyarrow.fs import FileSelector

        found = self.files.get_file_info(FileSelector(self.path, allow_not_found=True, recursive=recursive))
        start = len(self.path.rstrip("/")) + 1
        return {info.path[start:]: info.size for info in found if info.is_file}

    def open(self, compression: str | None = None) -> IO[bytes]:
        """Open a file for reading; one on this machine can be read from anywhere, others from the start."""
        if self.is_local and compression is None:
            return cast("IO[bytes]", self.files.open_input_file(self.path))
        stream = self.files.open_input_stream(self.path, compression=compression, buffer_size=1 << 20)
        return cast("IO[bytes]", stream)

    def read(self, limit: int = LARGEST_FILE) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: If it can't be read, or is larger than ``limit``.
        """
        with self.open() as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise OSError(f"The file is larger than {limit:,} bytes")
        return content

    def make_folder(self) -> None:
        """Make a folder, and those that it is in."""
        self.files.create_dir(self.path, recursive=True)

    def remove(self) -> None:
        """Remove a file, or a folder with all that is in it, if it is there."""
        info = self.files.get_file_info(self.path)
        if info.is_file:
            self.files.delete_file(self.path)
        elif self.exists:
            self.files.delete_dir(self.path)

    @contextmanager
    def written(self, scratch: Location) -> Iterator[IO[bytes]]:
        """Yield a file to write to, which gets this name once it is whole, in place of an earlier one.

        Args:
            scratch: The folder for the file until then.
        """
        temporary = scratch / f"{self.path.rsplit('/', 1)[-1]}.{uuid.uuid4().hex}"
        try:
            with self.files.open_output_stream(temporary.path) as stream:
                yield stream
            self.files.move(temporary.path, self.path)
        except BaseException:
            temporary.remove()
            raise

    def write(self, content: bytes, scratch: Location) -> None:
        """Write a file, whole or not at all."""
        if not self.is_local:  # an object appears when all of it is there
            with self.files.open_output_stream(self.path) as stream:
                stream.write(content)
            return
        with self.written(scratch) as stream:
            stream.write(content)


def locate(where: str) -> Location:
    """Return what a path or an address such as ``s3://bucket/folder`` means.

    Raises:
        MissingExtraError: pyarrow is not installed, or fsspec where only that knows the address.
        InvalidArgumentError: Neither knows it.
    """
    require_pyarrow()
    from pyarrow.fs import LocalFileSystem

    if "://" in where:
        return _elsewhere(where)
    return Location(LocalFileSystem(), os.path.abspath(where), True)


@lru_cache(maxsize=64)
def _elsewhere(where: str) -> Location:
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem, LocalFileSystem

    try:
        files, path = FileSystem.from_uri(where)
    except (ArrowInvalid, NotImplementedError):
        return _by_fsspec(where)
    return Location(files, path, isinstance(files, LocalFileSystem))


def _by_fsspec(where: str) -> Location:
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    scheme = where.partition("://")[0]
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingExtraError(
            f"Addresses that start with `{scheme}://` need fsspec. Install it with: "
            'pip install "visualcnn-tf[fsspec]", and the package of fsspec for these addresses'
        ) from error
    try:
        files, path = url_to_fs(where)
    except ImportError as error:
        raise MissingExtraError(f"Addresses that start with `{scheme}://` need another package: {error}") from error
    except ValueError as error:
        raise InvalidArgumentError(
            f"Files must be paths, or addresses that pyarrow or fsspec know. Received: {where!r}: {error}"
        ) from error
    return Location(PyFileSystem(FSSpecHandler(files)), path, False)


def require_pyarrow() -> None:
    """Raise if pyarrow is not installed.

    Raises:
        MissingExtraError: It is not.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            'Explaining a data set needs pyarrow. Install it with: pip install "visualcnn-tf[batch]"'
        ) from error
