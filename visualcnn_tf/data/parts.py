"""What is done: the tables of the shards, and what their footers say about rows and errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from visualcnn_tf.data.files import Location
from visualcnn_tf.data.job import part_name
from visualcnn_tf.data.sinks.sink import Sink

_AT_ONCE = 16  # footers: in cloud storage each takes 50 ms


class Count(NamedTuple):
    """How many rows a table has, and how many of them are errors."""

    rows: int
    errors: int


class Parts:
    """The shards that are done.

    Args:
        out: The folder of the job.
        sink: Where its maps go.
    """

    def __init__(self, out: Location, sink: Sink) -> None:
        self.counts: dict[int, Count] = {}
        self._out, self._sink = out, sink

    def refresh(self) -> None:
        """Look for shards that were done in the meantime, or deleted."""
        done = self._sink.done(self._out)
        new = sorted(done - self.counts.keys())
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            found = dict(zip(new, threads.map(self._count, new), strict=True))
        self.counts = {index: count for index, count in self.counts.items() if index in done} | found

    @property
    def rows(self) -> int:
        """How many images are explained, or known to be unreadable."""
        return sum(count.rows for count in self.counts.values())

    @property
    def errors(self) -> int:
        """How many of them could not be read."""
        return sum(count.errors for count in self.counts.values())

    def _count(self, index: int) -> Count:
        import pyarrow.parquet as pq

        location = self._out / "data" / part_name(index)
        footer = pq.read_metadata(location.path, filesystem=location.files)
        column = footer.schema.names.index("error")
        nulls = sum(
            footer.row_group(group).column(column).statistics.null_count for group in range(footer.num_row_groups)
        )
        return Count(footer.num_rows, footer.num_rows - nulls)
