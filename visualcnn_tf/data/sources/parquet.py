"""Parquet files with encoded images in a column of bytes, or in the structs that Hugging Face datasets write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from visualcnn_tf._utils.checks import bad_value, did_you_mean, quoted
from visualcnn_tf.data.files import locate
from visualcnn_tf.data.shards import Piece
from visualcnn_tf.data.sources.reader import Image

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH = 32
_PATHS = ("path", "file_name", "filename", "file")
_BYTES = "bytes"  # the field of a struct that holds an image


@dataclass(frozen=True)
class ParquetFiles:
    """Reads rows of Parquet files.

    Attributes:
        root: The folder that the names of the files start from.
        column: The column of encoded images.
        path_column: The column of their names, if there is one.
    """

    root: str
    column: str
    path_column: str | None

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return [self.column, *([self.path_column] if self.path_column else [])]

    def read(self, pieces: Iterable[Piece]) -> Iterator[Image]:
        """Yield the images of pieces."""
        for piece in pieces:
            location = locate(self.root) / piece.name
            with opened(self.root, piece.name) as file:
                for number, row in enumerate(_rows(file, self.columns, piece), piece.start):
                    yield self._image(location.path, number, row)

    def _image(self, source: str, number: int, row: dict[str, Any]) -> Image:
        value, path = row[self.column], row[self.path_column] if self.path_column else None
        if isinstance(value, dict):
            value, path = value[_BYTES], path or value.get("path")
        return Image(source, number, path, value or b"", "The row holds no image" if value is None else None)


def parquet_pieces(root: str, names: Iterable[str]) -> Iterator[Piece]:
    """Yield each file with as many images as it has rows."""
    for name in names:
        with opened(root, name) as file:
            footer = sha256(repr(file.metadata.to_dict()).encode()).digest()
            yield Piece(name, 0, file.metadata.num_rows, int.from_bytes(footer[:8], "big"))


def parquet_reader(root: str, name: str, column: str | None) -> ParquetFiles:
    """Return a reader of files with the columns of this one.

    Args:
        root: The folder that the name starts from.
        name: The file.
        column: The column of the images; None to find it.

    Raises:
        InvalidArgumentError: If there is no such column, or no single one that could be it.
    """
    with opened(root, name) as file:
        schema = file.schema_arrow
    of_bytes = [field.name for field in schema if _holds_bytes(field.type)]
    column = chosen_column(column, of_bytes, name)
    paths = [path for path in _PATHS if path in schema.names]
    return ParquetFiles(root, column, paths[0] if paths else None)


def chosen_column(column: str | None, of_bytes: Sequence[str], name: str) -> str:
    """Return the column, or the feature, that holds the images.

    Raises:
        InvalidArgumentError: If it can't be told, or is none that holds bytes.
    """
    if column is None and len(of_bytes) == 1:
        return of_bytes[0]
    if column is None or column not in of_bytes:
        advice = did_you_mean(column, of_bytes).strip() if column else f"In {name!r} several could hold the images."
        if not of_bytes:
            advice = f"In {name!r} there is none."
        raise bad_value("column", f"one that holds encoded images ({quoted(of_bytes)})", column, advice)
    return column


def opened(root: str, name: str) -> pq.ParquetFile:
    """Open a Parquet file."""
    import pyarrow.parquet as pq

    location = locate(root) / name
    return pq.ParquetFile(location.path, filesystem=location.files)


def _holds_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(field.name == _BYTES and _holds_bytes(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _rows(file: pq.ParquetFile, columns: list[str], piece: Piece) -> Iterator[dict[str, Any]]:
    """Yield the rows of a piece, reading no row groups but those it lies in."""
    groups, skipped, first = list[int](), 0, 0
    for group in range(file.num_row_groups):
        end = first + file.metadata.row_group(group).num_rows
        if piece.start < end and first < piece.start + piece.rows:
            skipped = skipped if groups else piece.start - first
            groups.append(group)
        first = end
    at = -skipped
    for batch in file.iter_batches(_BATCH, groups, columns):
        start, stop = max(0, -at), min(batch.num_rows, piece.rows - at)
        if start < stop:
            yield from batch.slice(start, stop - start).to_pylist()
        at += batch.num_rows
        if at >= piece.rows:
            return
