"""Zarr arrays: one for each map, with a row for each image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

import numpy as np

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.data.columns import plain_dtype
from visualcnn_tf.data.explainer import Columns
from visualcnn_tf.data.job import Job
from visualcnn_tf.data.saved_model import Output
from visualcnn_tf.data.shards import Shard
from visualcnn_tf.data.sinks.sink import Keep, Sink, maps_of, without_maps
from visualcnn_tf.data.sources.reader import Image
from visualcnn_tf.errors import MissingExtraError

NAME = "maps.zarr"
# Bytes of a chunk, which is read as a whole.
_CHUNK = 8 * 1024 * 1024


class ZarrSink(Sink):
    """Writes ``maps.zarr``. No two shards write to the same chunk: of two that did, one would undo the other."""

    def check(self, outputs: Mapping[str, Output]) -> None:
        """Raise for maps that are no arrays, or without Zarr.

        Raises:
            InvalidArgumentError: If there are pictures in files.
            MissingExtraError: If Zarr is not installed.
        """
        _zarr()
        for name, output in maps_of(outputs).items():
            if output.dtype == "string":
                raise bad_value("sink", f"'parquet', 'png' or 'tfrecord' for {name!r}, which is a file", "zarr")

    def in_table(self, outputs: dict[str, Output]) -> dict[str, Output]:
        """Return the outputs that are no maps."""
        return without_maps(outputs)

    def prepare(self, job: Job) -> None:
        """Make the arrays, or those that are missing.

        Raises:
            InvalidArgumentError: If they are gone, with the maps that were in them.
        """
        group = _zarr().open_group(f"{job.out}/{NAME}", mode="a")
        missing = {name: output for name, output in maps_of(job.outputs).items() if name not in group}
        if missing and self.done(job.folder):
            raise bad_value("out", f"a folder whose `{NAME}` is whole", job.out, "Delete its folder `data`, too.")
        for name, output in missing.items():
            group.create_array(
                name,
                shape=(job.rows, *output.shape),
                chunks=(_chunk_rows(output, job.shard_rows), *output.shape),
                dtype=plain_dtype(output.dtype),
            )

    @contextmanager
    def open(self, job: Job, shard: Shard) -> Iterator[Keep]:
        """Yield what writes the maps of a batch, as soon as chunks are full."""
        group = _zarr().open_group(f"{job.out}/{NAME}", mode="r+")
        waiting = {name: np.empty((0, *output.shape), output.dtype) for name, output in maps_of(job.outputs).items()}
        written = dict.fromkeys(waiting, shard.first)

        def keep(first: int, images: Sequence[Image], columns: Columns) -> None:
            for name in waiting:
                waiting[name] = np.concatenate([waiting[name], columns[name]])
                whole = len(waiting[name]) // group[name].chunks[0] * group[name].chunks[0]
                write(name, whole)

        def write(name: str, count: int) -> None:
            if count:
                group[name][written[name] : written[name] + count] = waiting[name][:count]
                waiting[name] = waiting[name][count:]
                written[name] += count

        yield keep
        for name in waiting:
            write(name, len(waiting[name]))


def _chunk_rows(output: Output, shard_rows: int) -> int:
    """Return how many maps a chunk holds: a divisor of the rows of a shard, so that shards begin where chunks do."""
    size = int(np.prod(output.shape)) * plain_dtype(output.dtype).itemsize
    return max(
        rows for rows in range(1, shard_rows + 1) if shard_rows % rows == 0 and (rows == 1 or rows * size <= _CHUNK)
    )


def _zarr() -> ModuleType:
    try:
        return import_module("zarr")
    except ImportError as error:
        raise MissingExtraError(
            '`sink="zarr"` needs Zarr 3. Install it with: pip install "visualcnn-tf[zarr]"'
        ) from error
