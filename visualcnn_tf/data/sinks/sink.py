"""What every sink does; and Parquet, whose maps are columns of the table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from visualcnn_tf.data.explainer import Columns
from visualcnn_tf.data.files import Location
from visualcnn_tf.data.job import Job, part_name
from visualcnn_tf.data.saved_model import Output
from visualcnn_tf.data.shards import Shard
from visualcnn_tf.data.sources.reader import Image

#: Keeps the maps of a batch: the number of its first row, its images, and what the model has returned.
Keep: TypeAlias = Callable[[int, Sequence[Image], Columns], None]

_PART = re.compile(r"data/part-(\d+)\.parquet")


class Sink:
    """Leaves the maps in the tables."""

    def check(self, outputs: Mapping[str, Output]) -> None:
        """Raise for a model with outputs that can't be kept."""

    def in_table(self, outputs: dict[str, Output]) -> dict[str, Output]:
        """Return the outputs that are columns of the table."""
        return outputs

    def prepare(self, job: Job) -> None:
        """Make what shards write into, if it is not there."""

    def files(self, index: int) -> tuple[str, ...]:
        """Return the files that a shard has when it is done, as ``folder/name``, that of the table last."""
        return (f"data/{part_name(index)}",)

    @contextmanager
    def open(self, job: Job, shard: Shard) -> Iterator[Keep]:
        """Yield what keeps the maps of a shard; they are all kept when the ``with`` block ends without an error."""
        yield lambda first, images, columns: None

    def is_done(self, out: Location, index: int) -> bool:
        """Return whether all files of a shard are there."""
        return all((out / file).exists for file in self.files(index))

    def done(self, out: Location) -> set[int]:
        """Return the shards all files of which are there."""
        folders = [file.split("/")[0] for file in self.files(0)]
        names = {f"{folder}/{name}" for folder in folders for name in (out / folder).listing()}
        indices = {int(name.group(1)) for name in map(_PART.fullmatch, names) if name}
        return {index for index in indices if names.issuperset(self.files(index))}


def without_maps(outputs: dict[str, Output]) -> dict[str, Output]:
    """Return the outputs that are no maps."""
    return {name: output for name, output in outputs.items() if not output.is_map}


def maps_of(outputs: Mapping[str, Output]) -> dict[str, Output]:
    """Return the outputs that are maps."""
    return {name: output for name, output in outputs.items() if output.is_map}
