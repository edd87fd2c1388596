"""A ``tf.data.Dataset``: its images are kept as Parquet files in the job's folder, from which workers can read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.data.files import Location
from visualcnn_tf.data.shards import Piece
from visualcnn_tf.data.sources.parquet import ParquetFiles, chosen_column
from visualcnn_tf.data.sources.reader import Image

if TYPE_CHECKING:
    import pyarrow as pa

_ALLOWED = "of encoded images (texts) or of pixels (uint8), also in tuples, whose first element is taken, or in dicts"


@dataclass(frozen=True)
class StagedImages(ParquetFiles):
    """Reads the images of a dataset, kept by :func:`stage`."""

    column: str = "bytes"
    path_column: str | None = "path"

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return [*super().columns, "number"]

    def _image(self, source: str, number: int, row: dict[str, Any]) -> Image:
        return super()._image("tf.data", row["number"], row)


@dataclass
class _Part:
    """Images that are kept in one file."""

    first: int
    contents: list[bytes] = field(default_factory=list)
    paths: list[str | None] = field(default_factory=list)

    @property
    def stamp(self) -> int:
        """A number for what the images are."""
        hashes = b"".join(sha256(content).digest() for content in self.contents)
        return int.from_bytes(sha256(hashes).digest()[:8], "big")

    def table(self) -> pa.Table:
        import pyarrow as pa

        numbers = np.arange(self.first, self.first + len(self.contents))
        columns = [pa.array(self.contents, pa.large_binary()), pa.array(self.paths, pa.string()), pa.array(numbers)]
        return pa.table(columns, ["bytes", "path", "number"])


def stage(
    dataset: tf.data.Dataset, column: str | None, folder: Location, rows: int, is_wanted: Callable[[int], bool]
) -> Iterator[Piece]:
    """Keep the images of a dataset, ``rows`` in each file, and yield the files.

    Args:
        dataset: Batched or not.
        column: The element of a dict that holds the images; None if only one can.
        folder: Where the files go.
        rows: How many images each file holds.
        is_wanted: Whether a file, by its number, is still needed.

    Raises:
        InvalidArgumentError: If the elements are no images, or the dataset never ends.
    """
    import pyarrow.parquet as pq

    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise bad_value("source", "a dataset that ends", dataset, "Say how much of it: `dataset.take(1000)`.")
    for number, part in enumerate(_parts(_images(dataset, column), rows)):
        # Named by its content: what was kept of another dataset is never taken for it.
        name = f"part-{number:06d}-{part.stamp:016x}.parquet"
        if is_wanted(number) and not (folder / name).exists:
            folder.make_folder()
            with (folder / name).written(folder) as file:
                pq.write_table(part.table(), file, compression="none", row_group_size=32)
        yield Piece(name, 0, len(part.contents), part.stamp)


def _parts(images: Iterator[tuple[bytes, str | None]], rows: int) -> Iterator[_Part]:
    part = _Part(0)
    for content, path in images:
        part.contents.append(content)
        part.paths.append(path)
        if len(part.contents) == rows:
            yield part
            part = _Part(part.first + rows)
    if part.contents:
        yield part


def _images(dataset: tf.data.Dataset, column: str | None) -> Iterator[tuple[bytes, str | None]]:
    """Yield encoded images and their names."""
    image, path = _positions(dataset.element_spec, column)
    for element in dataset.as_numpy_iterator():
        values = _flat(element)
        names = values[path] if path is not None else None
        for index, value in enumerate(_unbatched(values[image])):
            content = value if isinstance(value, bytes) else tf.io.encode_png(value).numpy()
            yield content, None if names is None else np.atleast_1d(names)[index].decode(errors="replace")


def _positions(spec: Any, column: str | None) -> tuple[Any, Any]:
    """Return the keys of the image and of its name among the elements of a dataset."""
    flat = _flat(spec)
    if isinstance(spec, dict):
        path = "path" if "path" in flat and column != "path" else None
        image = chosen_column(
            column, [key for key, value in flat.items() if key != path and _is_image(value)], "source"
        )
        return image, path
    if column is not None:
        raise bad_value("column", "None for a dataset whose elements are no dicts", column)
    if not _is_image(flat[0]):
        raise bad_value("source", f"a dataset {_ALLOWED}", spec, "Give the files instead, or images before scaling.")
    return 0, None


def _flat(element: Any) -> Any:
    return element if isinstance(element, (tuple, list, dict)) else (element,)


def _is_image(spec: Any) -> bool:
    """Return whether a dataset's element is an encoded image or pixels, or a batch of them."""
    if not isinstance(spec, tf.TensorSpec):
        return False
    rank = spec.shape.rank
    return bool(spec.dtype == tf.string and rank in (0, 1)) or bool(spec.dtype == tf.uint8 and rank in (3, 4))


def _unbatched(value: Any) -> Any:
    is_one = isinstance(value, bytes) or value.ndim in (0, 3)
    return [value] if is_one else value
