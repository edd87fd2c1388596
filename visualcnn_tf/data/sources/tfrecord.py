"""TFRecord files of ``tf.train.Example`` with an encoded image, or of encoded images themselves.

A record is its length (8 bytes, the lowest first), 4 bytes to check the length, the content, and 4 bytes to check that.
TensorFlow's own reader knows no cloud storage but Google's, and can't count records without reading them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.data.files import LARGEST_FILE, Location, locate
from visualcnn_tf.data.shards import Piece
from visualcnn_tf.data.sources.parquet import chosen_column
from visualcnn_tf.data.sources.reader import Image

if TYPE_CHECKING:
    import tensorflow as tf

_HEADER = struct.Struct("<QI")
_CHECK = 4  # bytes
_IMAGES = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM")  # what files of images start with
_PATHS = ("image/filename", "path", "filename", "file_name")
_RECORD = ""  # the feature of records that are no examples


@dataclass(frozen=True)
class TFRecordFiles:
    """Reads records.

    Attributes:
        root: The folder that the names of the files start from.
        feature: The feature of the examples that holds the image; empty if the records are images themselves.
    """

    root: str
    feature: str

    def read(self, pieces: Iterable[Piece]) -> Iterator[Image]:
        """Yield the images of pieces."""
        for piece in pieces:
            location = locate(self.root) / piece.name
            with _opened(location) as file:
                for _ in range(piece.start):
                    _skip(file, location)
                for number in range(piece.start, piece.start + piece.rows):
                    yield self._image(location.path, number, _record(file, location))

    def _image(self, source: str, number: int, record: bytes) -> Image:
        if self.feature == _RECORD:
            return Image(source, number, None, record)
        features = _features(record)
        paths = [features[name] for name in _PATHS if name in features]
        path = paths[0].decode(errors="replace") if paths else None
        content = features.get(self.feature)
        error = f"The record has no feature {self.feature!r}" if content is None else None
        return Image(source, number, path, content or b"", error)


def tfrecord_pieces(root: str, names: Iterable[str]) -> Iterator[Piece]:
    """Yield each file with as many images as it has records.

    Raises:
        InvalidArgumentError: If a file is cut off, or holds no records.
    """
    for name in names:
        location, count, size = locate(root) / name, 0, 0
        with _opened(location) as file:
            while length := _skip(file, location):
                count, size = count + 1, size + length
        yield Piece(name, 0, count, size)


def tfrecord_reader(root: str, name: str, column: str | None) -> TFRecordFiles:
    """Return a reader of files with records like the first of this one.

    Raises:
        InvalidArgumentError: If there is no such feature, or no single one that could hold the image.
    """
    location = locate(root) / name
    with _opened(location) as file:
        record = _record(file, location)
    if column is None and record.startswith(_IMAGES):
        return TFRecordFiles(root, _RECORD)
    features = _features(record)
    of_images = [name for name, value in features.items() if value.startswith(_IMAGES)]
    known = list(features) if column or not of_images else of_images
    return TFRecordFiles(root, chosen_column(column, known, name))


def _features(record: bytes) -> dict[str, bytes]:
    """Return the features of an example that are one text each."""
    import tensorflow as tf

    try:
        example: tf.train.Example = tf.train.Example.FromString(record)
    except Exception:  # of the package protobuf, which tells several
        return {}
    lists = {name: feature.bytes_list.value for name, feature in sorted(example.features.feature.items())}
    return {name: values[0] for name, values in lists.items() if len(values) == 1}


def _opened(location: Location) -> IO[bytes]:
    with location.open() as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
    return location.open("gzip" if is_compressed else None)


def _record(file: IO[bytes], location: Location) -> bytes:
    """Return the next record."""
    length = _length(file, location)
    content = file.read(length + _CHECK)
    if not length or len(content) < length + _CHECK:
        raise _cut_off(location)
    return content[:length]


def _skip(file: IO[bytes], location: Location) -> int:
    """Skip a record; return its length in the file, 0 at the end."""
    length = _length(file, location)
    if not length:
        return 0
    if file.seekable():
        file.seek(length, 1)
        check = file.read(_CHECK)
    else:
        check = file.read(length + _CHECK)[length:]
    if len(check) < _CHECK:
        raise _cut_off(location)
    return _HEADER.size + length + _CHECK


def _length(file: IO[bytes], location: Location) -> int:
    """Return the length of the next record; 0 at the end of the file."""
    header = file.read(_HEADER.size)
    if not header:
        return 0
    length = _HEADER.unpack(header)[0] if len(header) == _HEADER.size else 0
    if not 0 < length <= LARGEST_FILE:
        raise _cut_off(location)
    return int(length)


def _cut_off(location: Location) -> Exception:
    return bad_value("source", "whole TFRecord files", location.path, "It is cut off, or no TFRecord file.")
