"""From what the user calls a source to its images, and to a reader of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.data.files import Location
from visualcnn_tf.data.shards import Piece
from visualcnn_tf.data.sources.images import ImageFiles
from visualcnn_tf.data.sources.listing import Files, list_files
from visualcnn_tf.data.sources.parquet import ParquetFiles, parquet_pieces, parquet_reader
from visualcnn_tf.data.sources.reader import Reader
from visualcnn_tf.data.sources.staged import StagedImages
from visualcnn_tf.data.sources.tfrecord import TFRecordFiles, tfrecord_pieces, tfrecord_reader

_READERS: dict[str, type[ImageFiles | ParquetFiles | TFRecordFiles | StagedImages]] = {
    reader.__name__: reader for reader in (ImageFiles, ParquetFiles, TFRecordFiles, StagedImages)
}


@dataclass(frozen=True)
class Source:
    """Images, and how they are read.

    Attributes:
        reader: Reads them, in the workers.
        pieces: All of them, in order.
    """

    reader: Reader
    pieces: Iterator[Piece]


def find_source(files: Files, column: str | None, out: Location) -> Source:
    """Return the images of files.

    Args:
        files: The user's source.
        column: The column or feature that holds the images; None to find it.
        out: The folder that the job writes, which is no part of the source.

    Raises:
        InvalidArgumentError: If there are no images, or a column would have no effect or can't be told.
    """
    listing = list_files(files, out)
    root, first = listing.root, next(iter(listing.sizes))
    if listing.kind == "parquet":
        reader: Reader = parquet_reader(root, first, column)
        pieces = parquet_pieces(root, listing.sizes)
    elif listing.kind == "tfrecord":
        filled = (piece for piece in tfrecord_pieces(root, listing.sizes) if piece.rows)
        start = next(filled, None)
        reader = tfrecord_reader(root, start.name if start else first, column)
        pieces = chain([start] if start else [], filled)
    elif column is not None:
        raise bad_value("column", "None for image files", column)
    else:
        reader = ImageFiles(root)
        pieces = (Piece(name, stamp=size) for name, size in listing.sizes.items())
    return Source(reader, pieces)


def dump_reader(reader: Reader) -> Mapping[str, str | None]:
    """Return a reader as texts."""
    return {"reader": type(reader).__name__, **asdict(reader)}  # type: ignore[call-overload]


def load_reader(fields: Mapping[str, str]) -> Reader:
    """Return the reader that texts stand for."""
    rest = dict(fields)
    return _READERS[rest.pop("reader")](**rest)
