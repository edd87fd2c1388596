"""The table of a shard: a Parquet file with a row for each image, the last file of the shard to appear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from visualcnn_tf.data.columns import output_columns, output_fields
from visualcnn_tf.data.explainer import Columns
from visualcnn_tf.data.files import Location
from visualcnn_tf.data.saved_model import Output
from visualcnn_tf.data.sources.reader import Image

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# Bytes that are held before they are written: a row group.
_ROW_GROUP = 32 * 1024 * 1024


@dataclass
class Table:
    """Writes rows.

    Attributes:
        outputs: The outputs of the model that have columns.
        encoding: How maps are held.
        writer: Of the Parquet file.
    """

    outputs: Mapping[str, Output]
    encoding: str
    writer: pq.ParquetWriter
    waiting: list[pa.RecordBatch] = field(default_factory=list)

    def add(self, first: int, images: Sequence[Image], errors: Sequence[str | None], columns: Columns) -> None:
        """Add the rows of a batch.

        Args:
            first: The number of its first row.
            images: Its images.
            errors: Why each could not be read, None for those that could.
            columns: What the model has returned.
        """
        import pyarrow as pa

        arrays = [
            pa.array(np.arange(first, first + len(images))),
            pa.array([image.source for image in images]),
            pa.array([image.source_row for image in images], pa.int64()),
            pa.array([image.path for image in images], pa.string()),
            pa.array([error is None for error in errors]),
            pa.array(errors, pa.string()),
            *output_columns(columns, self.outputs, self.encoding),
        ]
        self.waiting.append(pa.record_batch(arrays, schema=schema(self.outputs, self.encoding)))
        if sum(batch.nbytes for batch in self.waiting) >= _ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the rows that wait as a row group."""
        import pyarrow as pa

        if self.waiting:
            self.writer.write_table(pa.Table.from_batches(self.waiting))
            self.waiting.clear()


def schema(outputs: Mapping[str, Output], encoding: str) -> pa.Schema:
    """Return the columns of a table."""
    import pyarrow as pa

    fields = [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("source_row", pa.int64()),
        pa.field("path", pa.string()),
        pa.field("valid", pa.bool_(), nullable=False),
        pa.field("error", pa.string()),
    ]
    return pa.schema([*fields, *output_fields(outputs, encoding)])


@contextmanager
def table(file: Location, scratch: Location, outputs: Mapping[str, Output], encoding: str) -> Iterator[Table]:
    """Yield what writes a table; the file appears when the ``with`` block ends without an error."""
    import pyarrow.parquet as pq

    columns = schema(outputs, encoding)
    repeated = ["source", "error"]  # few values, many times
    with (
        file.written(scratch) as stream,
        pq.ParquetWriter(stream, columns, compression="zstd", use_dictionary=repeated) as writer,
    ):
        made = Table(outputs, encoding, writer)
        yield made
        made.flush()
